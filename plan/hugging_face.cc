// Hugging Face config.json → our keys. A configuration holds much that says nothing about time or memory; those keys
// are passed over, unlike in our own files. Absent keys take the default of the transformers class of that model_type.
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "plan/readers.h"

namespace isochrone::plan {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 40;

/// The first of `keys` that is present and not null.
std::optional<Json> FirstOf(const Json& config, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (config.Has(key) && !config.At(key).IsNull()) return config.At(key);
  }
  return std::nullopt;
}
std::int64_t Whole(const Json& config, const std::vector<std::string>& keys) {
  const auto value = FirstOf(config, keys);
  return value ? value->Int(1, kMost) : config.At(keys.front()).Int(1, kMost);
}
std::int64_t WholeOr(const Json& config, const std::vector<std::string>& keys, std::int64_t absent) {
  const auto value = FirstOf(config, keys);
  return value ? value->Int(0, kMost) : absent;
}
bool FlagOr(const Json& config, const std::string& key, bool absent) {
  const auto value = FirstOf(config, {key});
  return value ? value->Bool() : absent;
}
double RealOr(const Json& config, const std::string& key, double absent) {
  const auto value = FirstOf(config, {key});
  return value ? value->Number(0, 1) : absent;
}

/// What the families share.
nlohmann::json Common(const Json& config) {
  nlohmann::json model;
  const auto name = FirstOf(config, {"_name_or_path"});
  const std::string shown = name ? name->String() : "";
  model["name"] = shown.empty() ? config.At("model_type").String() : shown;
  model["causal"] = true;
  model["layers"] = Whole(config, {"num_hidden_layers", "n_layer"});
  const std::int64_t hidden = Whole(config, {"hidden_size", "n_embd", "n_embed"});
  const std::int64_t heads = Whole(config, {"num_attention_heads", "n_head"});
  if (!FirstOf(config, {"head_dim"}) && hidden % heads != 0) {
    config.Fail("has a hidden size of " + std::to_string(hidden) + " that its " + std::to_string(heads) +
                    " heads do not divide, and no head_dim",
                "add \"head_dim\"");
  }
  model["hidden"] = hidden;
  model["attention_heads"] = heads;
  model["kv_heads"] = WholeOr(config, {"num_key_value_heads"}, heads);
  model["head_dim"] = WholeOr(config, {"head_dim"}, hidden / heads);
  model["vocabulary"] = Whole(config, {"vocab_size"});
  model["sequence"] = WholeOr(config, {"max_position_embeddings", "n_positions", "seq_length"}, 2048);
  return model;
}

/// Llama, Mistral, Qwen 2 and what grew from them: RMS norm, rotary positions, SwiGLU, no bias.
nlohmann::json LlamaLike(const Json& config) {
  nlohmann::json model = Common(config);
  model.update({{"ffn", Whole(config, {"intermediate_size"})},
                {"mlp", "swiglu"},
                {"normalization", "rms"},
                {"position", "rotary"},
                {"linear_bias", FlagOr(config, "attention_bias", false) && FlagOr(config, "mlp_bias", false)},
                {"tied_embeddings", FlagOr(config, "tie_word_embeddings", false)},
                {"dropout", RealOr(config, "attention_dropout", 0)}});
  return model;
}

nlohmann::json Mistral(const Json& config) {
  nlohmann::json model = LlamaLike(config);
  if (const auto window = FirstOf(config, {"sliding_window"}))
    model["window"] = {{"tokens", window->Int(1, kMost)}, {"every", 1}};
  return model;
}

nlohmann::json Qwen2(const Json& config) {
  return FlagOr(config, "use_sliding_window", false) ? Mistral(config) : LlamaLike(config);
}

nlohmann::json Mixtral(const Json& config) {
  nlohmann::json model = Mistral(config);
  model["moe"] = {{"experts", Whole(config, {"num_local_experts"})},
                  {"topk", Whole(config, {"num_experts_per_tok"})},
                  {"ffn", Whole(config, {"intermediate_size"})}};
  return model;
}

nlohmann::json DeepseekV3(const Json& config) {
  nlohmann::json model = LlamaLike(config);
  model["kv_heads"] = model["attention_heads"];
  model["head_dim"] = Whole(config, {"v_head_dim"});
  model["mla"] = {{"q_lora", WholeOr(config, {"q_lora_rank"}, 0)},
                  {"kv_lora", Whole(config, {"kv_lora_rank"})},
                  {"qk_nope", Whole(config, {"qk_nope_head_dim"})},
                  {"qk_rope", WholeOr(config, {"qk_rope_head_dim"}, 0)},
                  {"v", Whole(config, {"v_head_dim"})}};
  const std::int64_t ffn = Whole(config, {"moe_intermediate_size"}), shared = WholeOr(config, {"n_shared_experts"}, 0);
  model["moe"] = {{"experts", Whole(config, {"n_routed_experts"})},
                  {"topk", Whole(config, {"num_experts_per_tok"})},
                  {"ffn", ffn},
                  {"dense_layers", WholeOr(config, {"first_k_dense_replace"}, 0)},
                  {"every", WholeOr(config, {"moe_layer_freq"}, 1)}};
  if (shared > 0) model["moe"].update({{"shared_experts", shared}, {"shared_ffn", shared * ffn}});
  model["mtp_layers"] = WholeOr(config, {"num_nextn_predict_layers"}, 0);
  return model;
}

/// GPT-2, GPT-NeoX and BLOOM: layer norm, GeLU, biases.
nlohmann::json GptLike(const Json& config, const char* position, bool tied, const char* dropout,
                       double dropout_absent) {
  nlohmann::json model = Common(config);
  const std::int64_t hidden = model["hidden"];
  model.update({{"ffn", WholeOr(config, {"intermediate_size", "n_inner"}, 4 * hidden)},
                {"mlp", "gelu"},
                {"normalization", "layer"},
                {"position", position},
                {"linear_bias", true},
                {"tied_embeddings", FlagOr(config, "tie_word_embeddings", tied)},
                {"dropout", RealOr(config, dropout, dropout_absent)}});
  return model;
}
nlohmann::json Gpt2(const Json& config) { return GptLike(config, "learned", true, "resid_pdrop", 0.1); }
nlohmann::json GptNeox(const Json& config) { return GptLike(config, "rotary", false, "hidden_dropout", 0); }
nlohmann::json Bloom(const Json& config) { return GptLike(config, "alibi", true, "hidden_dropout", 0); }

}  // namespace

bool IsHuggingFace(const Json& config) { return config.Has("model_type") && !config.Has("layers"); }

Json FromHuggingFace(const Json& config) {
  static const std::map<std::string, nlohmann::json (*)(const Json&)> families = {
      {"llama", LlamaLike},        {"mistral", Mistral}, {"qwen2", Qwen2},      {"mixtral", Mixtral},
      {"deepseek_v3", DeepseekV3}, {"gpt2", Gpt2},       {"gpt_neox", GptNeox}, {"bloom", Bloom}};
  std::vector<std::string> names;
  for (const auto& [name, read] : families) names.push_back(name);
  const std::size_t index = config.At("model_type").OneOf(names);
  return Json::Text(families.at(names[index])(config).dump(), config.FileName());
}

}  // namespace isochrone::plan
