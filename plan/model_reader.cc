#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/readers.h"
#include "plan/scenario.h"
#include "plan/scenario_names.h"

namespace isochrone::plan {
namespace {

// Far above any model of today and far below what would overflow a product of three.
constexpr std::int64_t kMaxLayers = 10'000, kMaxWidth = 1 << 20, kMaxFfn = 1 << 24, kMaxSequence = 1 << 27,
                       kMaxVocabulary = 1 << 26, kMaxExperts = 1 << 16;

const std::vector<std::string> kModelKeys = {"base",
                                             "name",
                                             "layers",
                                             "hidden",
                                             "attention_heads",
                                             "kv_heads",
                                             "head_dim",
                                             "ffn",
                                             "mlp",
                                             "normalization",
                                             "position",
                                             "linear_bias",
                                             "causal",
                                             "tied_embeddings",
                                             "dropout",
                                             "sequence",
                                             "vocabulary",
                                             "moe",
                                             "mla",
                                             "mamba",
                                             "mtp_layers",
                                             "window",
                                             "pattern",
                                             "sources"};

int Count(const Json& object, const char* key, std::int64_t least, std::int64_t most) {
  return static_cast<int>(object.At(key).Int(least, most));
}
int CountOr(const Json& object, const char* key, int absent, std::int64_t least, std::int64_t most) {
  const auto value = object.Find(key);
  return value ? static_cast<int>(value->Int(least, most)) : absent;
}

MoeSpec MoeFrom(const Json& object) {
  object.Allow(
      {"experts", "topk", "ffn", "shared_experts", "shared_ffn", "dense_layers", "every", "capacity_factor", "padded"});
  MoeSpec moe;
  moe.experts = Count(object, "experts", 2, kMaxExperts);
  moe.topk = Count(object, "topk", 1, moe.experts);
  moe.ffn = object.At("ffn").Int(1, kMaxFfn);
  moe.shared_experts = CountOr(object, "shared_experts", 0, 0, kMaxExperts);
  if (moe.shared_experts > 0) moe.shared_ffn = object.At("shared_ffn").Int(1, kMaxFfn);
  if (moe.shared_experts == 0 && object.Has("shared_ffn")) {
    object.At("shared_ffn").Fail("needs shared_experts", "state shared_experts, or leave shared_ffn out");
  }
  moe.dense_layers = CountOr(object, "dense_layers", 0, 0, kMaxLayers);
  moe.every = CountOr(object, "every", 1, 1, kMaxLayers);
  if (const auto factor = object.Find("capacity_factor")) moe.capacity_factor = factor->Number(0, 1000);
  if (const auto padded = object.Find("padded")) moe.padded = padded->Bool();
  if (moe.padded && moe.capacity_factor > 0) {
    object.At("padded").Fail("pads to the fullest expert, but capacity_factor gives every expert the same room",
                             "keep one of them");
  }
  return moe;
}

MlaSpec MlaFrom(const Json& object) {
  object.Allow({"q_lora", "kv_lora", "qk_nope", "qk_rope", "v"});
  MlaSpec mla;
  mla.q_lora = Count(object, "q_lora", 0, kMaxWidth);
  mla.kv_lora = Count(object, "kv_lora", 1, kMaxWidth);
  mla.qk_nope = Count(object, "qk_nope", 1, kMaxWidth);
  mla.qk_rope = Count(object, "qk_rope", 0, kMaxWidth);
  mla.v = Count(object, "v", 1, kMaxWidth);
  return mla;
}

MambaSpec MambaFrom(const Json& object, std::int64_t hidden) {
  object.Allow({"state", "groups", "head_dim", "convolution", "expand"});
  MambaSpec mamba;
  mamba.state = Count(object, "state", 1, kMaxWidth);
  mamba.groups = Count(object, "groups", 1, kMaxWidth);
  mamba.head_dim = Count(object, "head_dim", 1, kMaxWidth);
  mamba.convolution = Count(object, "convolution", 1, 64);
  mamba.expand = Count(object, "expand", 1, 64);
  const std::int64_t inner = mamba.expand * hidden;
  if (inner % mamba.head_dim != 0) {
    object.At("head_dim").Fail("must divide expand · hidden = " + std::to_string(inner), "try 64");
  }
  return mamba;
}

void ReadPattern(const Json& value, const Model& model) {
  const std::string pattern = value.String();
  const auto bad = pattern.find_first_not_of("M*-");
  if (bad != std::string::npos) {
    value.Fail("has the letter '" + pattern.substr(bad, 1) + "' at position " + std::to_string(bad + 1),
               "use M (Mamba-2), * (attention) and - (MLP), one a layer");
  }
  if (static_cast<int>(pattern.size()) != model.layers) {
    value.Fail("has " + std::to_string(pattern.size()) + " letters for layers = " + std::to_string(model.layers),
               "write one letter a layer");
  }
  if (pattern.find('M') != std::string::npos && !model.mamba) {
    value.Fail("has Mamba-2 layers, but the model has no \"mamba\" object",
               R"(add "mamba": {"state": 128, "groups": 8, "head_dim": 64, "convolution": 4, "expand": 2})");
  }
}

void ReadAttention(const Fields& fields, Model& model) {
  model.heads = fields.At("attention_heads").Int(1, 1 << 16);
  const Json kv_heads = fields.At("kv_heads");
  model.kv_heads = kv_heads.Int(1, 1 << 16);
  if (model.heads % model.kv_heads != 0) {
    kv_heads.Fail("must divide attention_heads = " + std::to_string(model.heads),
                  "use " + std::to_string(model.heads) + " where every head has its own keys and values");
  }
  model.head_dim = fields.At("head_dim").Int(1, 1 << 16);
  if (const auto window = fields.Find("window")) {
    window->Allow({"tokens", "every"});
    model.window = window->At("tokens").Int(1, kMaxSequence);
    model.window_every = Count(*window, "every", 1, kMaxLayers);
  }
}

/// A pattern names every layer; what else would choose a kind of layer has no letter in it.
void RefuseBesidePattern(const Fields& fields) {
  for (const char* key : {"moe", "window", "mtp_layers"}) {
    if (const auto value = fields.Find(key)) {
      value->Fail("has no letter in \"pattern\"", "leave out one of them");
    }
  }
}

void ReadBlocks(const Fields& fields, Model& model) {
  if (const auto moe = fields.Find("moe")) {
    model.moe = MoeFrom(*moe);
    if (model.moe->dense_layers > model.layers) {
      moe->At("dense_layers").Fail("exceeds layers = " + std::to_string(model.layers), "lower it");
    }
  }
  if (const auto mla = fields.Find("mla")) model.mla = MlaFrom(*mla);
  if (const auto mamba = fields.Find("mamba")) model.mamba = MambaFrom(*mamba, model.hidden);
  if (const auto pattern = fields.Find("pattern")) {
    ReadPattern(*pattern, model);
    RefuseBesidePattern(fields);
    model.pattern = pattern->String();
  }
  if (const auto mtp = fields.Find("mtp_layers")) model.mtp_layers = static_cast<int>(mtp->Int(0, 64));
}

SpeechSpec::Layer ConvolutionFrom(const Json& object) {
  object.Allow({"channels", "kernel_frames", "kernel_frequencies", "stride_frames", "stride_frequencies"});
  const auto size = [&](const char* key) { return object.At(key).Int(1, 1 << 16); };
  return {size("channels"), size("kernel_frames"), size("kernel_frequencies"), size("stride_frames"),
          size("stride_frequencies")};
}

SpeechSpec SpeechFrom(const Json& object) {
  object.Allow({"convolutions", "frequencies", "cell", "recurrent_layers", "bidirectional", "future_frames", "labels"});
  SpeechSpec speech;
  const Json convolutions = object.At("convolutions");
  for (const Json& layer : convolutions.Items()) speech.convolutions.push_back(ConvolutionFrom(layer));
  if (speech.convolutions.empty() || speech.convolutions.size() > 3) {
    convolutions.Fail("has " + std::to_string(speech.convolutions.size()) + " layers", "give 1, 2 or 3");
  }
  speech.frequencies = object.At("frequencies").Int(1, 1 << 16);
  speech.cell = static_cast<RecurrentKind>(object.At("cell").OneOf(RecurrentNames()));
  speech.recurrent_layers = Count(object, "recurrent_layers", 1, 1000);
  speech.bidirectional = object.At("bidirectional").Bool();
  speech.future_frames = CountOr(object, "future_frames", 0, 0, 1000);
  speech.labels = object.At("labels").Int(1, kMaxSequence);
  return speech;
}

/// A model whose layers follow from its "speech" object. Batch normalisation passes over the same bytes as layer
/// normalisation.
Model SpeechModelFrom(const Fields& fields, const std::string& file) {
  fields.Allow({"base", "name", "hidden", "sequence", "vocabulary", "speech", "sources"});
  Model model;
  model.file = file;
  model.name = fields.At("name").String();
  model.hidden = fields.At("hidden").Int(1, kMaxWidth);
  model.sequence = fields.At("sequence").Int(1, kMaxSequence);
  model.vocabulary = fields.At("vocabulary").Int(2, kMaxVocabulary);
  model.speech = SpeechFrom(fields.At("speech"));
  model.layers = static_cast<int>(model.speech->convolutions.size()) + model.speech->recurrent_layers +
                 (model.speech->future_frames > 0 ? 1 : 0) + 1;
  model.heads = model.kv_heads = 1;
  model.head_dim = model.ffn = model.hidden;
  model.position = PositionKind::kNone;
  model.tied_embeddings = false;
  return model;
}

}  // namespace

Model ModelFrom(const Fields& fields, const std::string& file) {
  if (fields.Find("speech")) return SpeechModelFrom(fields, file);
  fields.Allow(kModelKeys);
  Model model;
  model.file = file;
  model.name = fields.At("name").String();
  model.layers = static_cast<int>(fields.At("layers").Int(1, kMaxLayers));
  model.hidden = fields.At("hidden").Int(1, kMaxWidth);
  ReadAttention(fields, model);
  model.ffn = fields.At("ffn").Int(1, kMaxFfn);
  model.mlp = static_cast<MlpKind>(fields.At("mlp").OneOf(MlpNames()));
  model.normalization = static_cast<NormKind>(fields.At("normalization").OneOf(NormNames()));
  model.position = static_cast<PositionKind>(fields.At("position").OneOf(PositionNames()));
  model.linear_bias = fields.At("linear_bias").Bool();
  model.causal = fields.At("causal").Bool();
  model.tied_embeddings = fields.At("tied_embeddings").Bool();
  model.dropout = fields.At("dropout").Number(0, 0.99);
  model.sequence = fields.At("sequence").Int(1, kMaxSequence);
  model.vocabulary = fields.At("vocabulary").Int(2, kMaxVocabulary);
  ReadBlocks(fields, model);
  return model;
}

Json OpenModel(const Found& file) {
  const std::string text = ReadText(file);
  if (LooksLikeMegatron(text)) return FromMegatron(text, file.name).scenario.At("model");
  const Json json = Json::Text(text, file.name);
  return IsHuggingFace(json) ? FromHuggingFace(json) : json;
}

Model ReadModel(const std::string& path) {
  const Found file = FindFile(path);
  return ModelFrom(PartFrom(OpenModel(file), file, OpenModel).fields, file.name);
}

}  // namespace isochrone::plan
