// Megatron-LM's command line → our keys. Names and defaults are those of megatron/training/arguments.py.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "plan/parameters.h"
#include "plan/readers.h"

namespace isochrone::plan {
namespace {

/// Words as a shell would cut them: quotes hold, comments and line continuations go.
std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  bool open = false;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : '\n';
    if (quote != 0) {
      if (c == quote) quote = 0;
      else word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      open = true;
    } else if (c == '\\') {
      continue;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (open) words.push_back(word);
      word.clear();
      open = false;
    } else if (c == '#' && !open) {
      i = std::min(text.find('\n', i), text.size() - 1);
    } else {
      word += c;
      open = true;
    }
  }
  return words;
}

class Arguments {
 public:
  Arguments(const std::string& text, std::string name) : name_(std::move(name)) {
    std::string flag;
    for (const std::string& word : Words(text)) {
      if (!word.starts_with("--")) {
        if (!flag.empty()) values_[flag] += (values_[flag].empty() ? "" : " ") + word;
        continue;
      }
      const auto equals = word.find('=');
      flag = word.substr(2, equals == std::string::npos ? equals : equals - 2);
      if (values_.contains(flag)) throw Error(name_ + ": --" + flag, "is given twice", "keep one of them");
      values_[flag] = equals == std::string::npos ? "" : word.substr(equals + 1);
    }
  }

  bool Has(const std::string& flag) {
    if (values_.contains(flag)) used_.insert(flag);
    return values_.contains(flag);
  }
  std::string Word(const std::string& flag) {
    if (!Has(flag)) throw Error(name_, "lacks the argument --" + flag, "add --" + flag);
    return values_.at(flag);
  }
  std::int64_t Whole(const std::string& flag) {
    const std::string word = Word(flag);
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(word.c_str(), &end, 10);
    if (word.empty() || *end != 0 || errno != 0 || value < 0 || value > kMost) {
      throw Error(name_ + ": --" + flag + " " + word, "must be a whole number from 0 to " + std::to_string(kMost), "");
    }
    return value;
  }
  std::int64_t WholeOr(const std::string& flag, std::int64_t absent) { return Has(flag) ? Whole(flag) : absent; }
  double RealOr(const std::string& flag, double absent) {
    if (!Has(flag)) return absent;
    const std::string word = Word(flag);
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != 0) throw Error(name_ + ": --" + flag + " " + word, "must be a number", "");
    return value;
  }
  [[noreturn]] void Fail(const std::string& flag, const std::string& what, const std::string& instead) {
    throw Error(name_ + ": --" + flag + " " + values_[flag], what, instead);
  }
  const std::string& Name() const { return name_; }

  std::vector<std::string> Unused() const {
    std::vector<std::string> out;
    for (const auto& [flag, value] : values_) {
      if (!used_.contains(flag)) out.push_back("--" + flag + (value.empty() ? "" : " " + value));
    }
    return out;
  }

 private:
  static constexpr std::int64_t kMost = 1'000'000'000;
  std::string name_;
  std::map<std::string, std::string> values_;
  std::set<std::string> used_;
};

using Object = nlohmann::json;

/// The padded vocabulary: a multiple of --make-vocab-size-divisible-by · tensor.
std::int64_t Vocabulary(Arguments& a) {
  if (a.Has("padded-vocab-size")) return a.Whole("padded-vocab-size");
  const bool gpt2 = a.Has("tokenizer-type") && a.Word("tokenizer-type") == "GPT2BPETokenizer";
  const std::int64_t tokens = !a.Has("vocab-size") && gpt2 ? 50257 : a.Whole("vocab-size");
  return MegatronVocabulary(tokens, std::max<std::int64_t>(1, a.WholeOr("tensor-model-parallel-size", 1)),
                            std::max<std::int64_t>(1, a.WholeOr("make-vocab-size-divisible-by", 128)));
}

const char* Mlp(Arguments& a) { return a.Has("swiglu") ? "swiglu" : a.Has("squared-relu") ? "squared_relu" : "gelu"; }

const char* Position(Arguments& a) {
  if (a.Has("use-rotary-position-embeddings")) return "rotary";
  if (!a.Has("position-embedding-type")) return "learned";
  const std::string kind = a.Word("position-embedding-type");
  if (kind == "rope" || kind == "yarn") return "rotary";
  if (kind == "learned_absolute") return "learned";
  if (kind == "none") return "none";
  a.Fail("position-embedding-type", "is not known here", "known: learned_absolute, rope, yarn and none");
}

Object Experts(Arguments& a, std::int64_t ffn) {
  Object moe = {{"experts", a.Whole("num-experts")},
                {"topk", a.WholeOr("moe-router-topk", 2)},
                {"ffn", a.WholeOr("moe-ffn-hidden-size", ffn)},
                {"every", a.WholeOr("moe-layer-freq", 1)}};
  if (const std::int64_t shared = a.WholeOr("moe-shared-expert-intermediate-size", 0)) {
    moe.update({{"shared_experts", 1}, {"shared_ffn", shared}});
  }
  if (a.Has("moe-expert-capacity-factor")) moe["capacity_factor"] = a.RealOr("moe-expert-capacity-factor", 0);
  if (a.Has("moe-pad-expert-input-to-capacity")) moe["padded"] = true;
  return moe;
}

Object Latent(Arguments& a) {
  return {{"q_lora", a.WholeOr("q-lora-rank", 0)},
          {"kv_lora", a.WholeOr("kv-lora-rank", 32)},
          {"qk_nope", a.WholeOr("qk-head-dim", 128)},
          {"qk_rope", a.WholeOr("qk-pos-emb-head-dim", 64)},
          {"v", a.WholeOr("v-head-dim", 128)}};
}

Object ModelOf(Arguments& a) {
  const std::int64_t hidden = a.Whole("hidden-size"), heads = std::max<std::int64_t>(1, a.Whole("num-attention-heads"));
  const bool gated = a.Has("swiglu");
  // A gated MLP of the default width has as many parameters as a plain one of 4 hidden.
  const std::int64_t ffn = a.WholeOr("ffn-hidden-size", gated ? hidden * 4 * 2 / 3 / 64 * 64 : 4 * hidden);
  const bool grouped = a.Has("group-query-attention");
  const std::string norm = a.Has("normalization") ? a.Word("normalization") : "LayerNorm";
  Object model = {{"name", a.Name()},
                  {"layers", a.Whole("num-layers")},
                  {"hidden", hidden},
                  {"attention_heads", heads},
                  {"kv_heads", grouped ? a.Whole("num-query-groups") : heads},
                  {"head_dim", a.WholeOr("kv-channels", hidden / heads)},
                  {"ffn", ffn},
                  {"mlp", Mlp(a)},
                  {"normalization", norm == "RMSNorm" ? "rms" : "layer"},
                  {"position", Position(a)},
                  {"linear_bias", !a.Has("disable-bias-linear")},
                  {"causal", true},
                  {"tied_embeddings", !a.Has("untie-embeddings-and-output-weights")},
                  {"dropout", a.RealOr("hidden-dropout", 0.1)},
                  {"sequence", a.Whole("seq-length")},
                  {"vocabulary", Vocabulary(a)}};
  if (a.Has("num-experts")) model["moe"] = Experts(a, ffn);
  if (a.Has("multi-latent-attention")) model["mla"] = Latent(a);
  if (a.Has("mtp-num-layers")) model["mtp_layers"] = a.Whole("mtp-num-layers");
  return model;
}

void Recomputation(Arguments& a, Object& strategy) {
  if (a.Has("checkpoint-activations")) strategy["recompute"] = "full";
  if (a.Has("recompute-activations")) strategy["recompute"] = "selective";
  if (!a.Has("recompute-granularity")) return;
  const std::string kind = a.Word("recompute-granularity");
  if (kind != "full" && kind != "selective")
    a.Fail("recompute-granularity", "is not known here", "known: full and selective");
  strategy["recompute"] = kind;
  // "uniform" recomputes every layer, whatever the size of its groups; "block" only the first n of a stage.
  if (a.Has("recompute-method") && a.Word("recompute-method") == "block") {
    strategy["recompute_layers"] = a.Whole("recompute-num-layers");
  }
}

void Interleaving(Arguments& a, Object& strategy) {
  std::int64_t chunks = a.WholeOr("num-virtual-stages-per-pipeline-rank", 1);
  if (const std::int64_t each = a.WholeOr("num-layers-per-virtual-pipeline-stage", 0)) {
    const std::int64_t stage =
        a.Whole("num-layers") / std::max<std::int64_t>(1, a.WholeOr("pipeline-model-parallel-size", 1));
    if (stage % each != 0) {
      a.Fail("num-layers-per-virtual-pipeline-stage", "must divide the " + std::to_string(stage) + " layers of a rank",
             "try 1");
    }
    chunks = stage / each;
  }
  if (chunks > 1) strategy.update({{"schedule", "interleaved_1f1b"}, {"chunks_per_rank", chunks}});
}

void Precision(Arguments& a, Object& strategy) {
  const bool fp8 = a.Has("fp8-format") || a.Has("fp8-hybrid") || a.Has("fp8-e4m3");
  const bool bf16 = a.Has("bf16"), fp16 = a.Has("fp16");
  strategy["precision"] = fp8 ? "fp8" : bf16 ? "bf16" : fp16 ? "fp16" : "fp32";
  if (a.Has("fp8-recipe")) {
    const std::string recipe = a.Word("fp8-recipe");
    if (recipe == "mxfp8") strategy["precision"] = "mxfp8";
    else strategy["fp8_recipe"] = recipe;
  }
  // Megatron accumulates bf16 gradients in fp32 and keeps fp16 gradients as they are, unless told otherwise.
  if (fp16 && !a.Has("accumulate-allreduce-grads-in-fp32")) {
    strategy.update({{"gradient_dtype", "fp16"}, {"gradient_reduce_dtype", "fp16"}});
  }
  if (a.Has("accumulate-allreduce-grads-in-fp32")) strategy["gradient_dtype"] = "fp32";
}

Object StrategyOf(Arguments& a) {
  static const std::pair<const char*, const char*> numbers[] = {
      {"tensor-model-parallel-size", "tensor"},
      {"pipeline-model-parallel-size", "pipeline"},
      {"context-parallel-size", "context"},
      {"expert-model-parallel-size", "expert"},
      {"expert-tensor-parallel-size", "expert_tensor"},
      {"decoder-first-pipeline-num-layers", "first_stage_layers"},
      {"decoder-last-pipeline-num-layers", "last_stage_layers"}};
  static const std::pair<const char*, const char*> flags[] = {
      {"sequence-parallel", "sequence_parallel"},
      {"overlap-grad-reduce", "overlap_data"},
      {"overlap-param-gather", "overlap_parameter_gather"},
      {"tp-comm-overlap", "overlap_tensor"},
      {"account-for-embedding-in-pipeline-split", "account_embedding_in_split"}};
  Object strategy = Object::object();
  for (const auto& [flag, key] : numbers) {
    if (a.Has(flag)) strategy[key] = a.Whole(flag);
  }
  for (const auto& [flag, key] : flags) {
    if (a.Has(flag)) strategy[key] = true;
  }
  a.Has("account-for-loss-in-pipeline-split");  // the same key of ours
  if (a.Has("use-distributed-optimizer")) strategy["optimizer_sharding"] = "zero1";
  if (a.Has("use-flash-attn")) strategy["attention"] = "flash";
  Recomputation(a, strategy);
  Interleaving(a, strategy);
  Precision(a, strategy);
  return strategy;
}

}  // namespace

bool LooksLikeMegatron(const std::string& text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  return start != std::string::npos && text[start] != '{' && text[start] != '[' &&
         text.find("--num-layers") != std::string::npos;
}

MegatronArguments FromMegatron(const std::string& text, const std::string& name) {
  Arguments arguments(text, name);
  Object scenario = Object::object();
  scenario["strategy"] = StrategyOf(arguments);
  if (arguments.Has("num-layers")) scenario["model"] = ModelOf(arguments);
  if (arguments.Has("global-batch-size")) {
    scenario["batch"] = {{"sequences", arguments.Whole("global-batch-size")},
                         {"microbatch", arguments.WholeOr("micro-batch-size", 1)}};
  }
  return {Json::Text(scenario.dump(), name), arguments.Unused()};
}

}  // namespace isochrone::plan
