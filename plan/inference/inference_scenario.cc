#include "plan/inference/inference_scenario.h"

#include <algorithm>
#include <functional>
#include <sstream>

#include "base/error.h"
#include "plan/readers.h"
#include "plan/scenario_names.h"

namespace isochrone::plan {
namespace {

constexpr std::int64_t kMostTokens = 100'000'000;
constexpr std::int64_t kMostRequests = 1'000'000;

/// One key of "strategy": how it is read and shown.
struct Key {
  const char* name;
  std::function<void(const Json&, InferenceStrategy&)> read;
  std::function<std::string(const InferenceStrategy&)> show;
};

Key Degree(const char* name, int InferenceStrategy::*member) {
  return {name, [=](const Json& v, InferenceStrategy& s) { s.*member = static_cast<int>(v.Int(1, 1 << 20)); },
          [=](const InferenceStrategy& s) { return std::to_string(s.*member); }};
}

Key Tokens(const char* name, std::int64_t InferenceStrategy::*member) {
  return {name, [=](const Json& v, InferenceStrategy& s) { s.*member = v.Int(1, kMostTokens); },
          [=](const InferenceStrategy& s) { return std::to_string(s.*member); }};
}

Key Format(const char* name, Dtype InferenceStrategy::*member, std::vector<std::string> legal) {
  return {name,
          [=](const Json& v, InferenceStrategy& s) {
            const std::string word = legal[v.OneOf(legal)];
            const auto& all = DtypeNames();
            s.*member = static_cast<Dtype>(std::find(all.begin(), all.end(), word) - all.begin());
          },
          [=](const InferenceStrategy& s) { return NameOf(s.*member); }};
}

const std::vector<Key>& Keys() {
  using S = InferenceStrategy;
  static const std::vector<std::string> stored = {"fp32", "fp16", "bf16", "fp8", "int8", "mxfp8", "nvfp4", "int4"};
  static const std::vector<Key> keys = {
      Degree("tensor", &S::tensor),
      Degree("pipeline", &S::pipeline),
      Degree("expert", &S::expert),
      Degree("replicas", &S::replicas),
      Format("precision", &S::precision, {"fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"}),
      Format("weights", &S::weights, stored),
      Format("kv_cache", &S::kv_cache, stored),
      {"engine", [](const Json& v, S& s) { s.engine = v.String(); }, [](const S& s) { return s.engine; }},
      Tokens("token_budget", &S::token_budget),
      Tokens("block_tokens", &S::block_tokens),
      {"memory_share", [](const Json& v, S& s) { s.memory_share = v.Number(0.01, 1); },
       [](const S& s) {
         std::ostringstream out;
         out << s.memory_share;
         return out.str();
       }}};
  return keys;
}

/// Formats follow `precision` where they are not given: weights as multiplied, the cache as activations are stored.
void FollowPrecision(const Json& object, InferenceStrategy& s) {
  const bool wide = s.precision == Dtype::kFp32 || s.precision == Dtype::kTf32;
  const Dtype activations = wide ? Dtype::kFp32 : s.precision == Dtype::kFp16 ? Dtype::kFp16 : Dtype::kBf16;
  if (!object.Has("weights")) s.weights = wide ? Dtype::kFp32 : s.precision;
  if (!object.Has("kv_cache")) s.kv_cache = activations;
}

void ReadStrategy(const Json& object, InferenceScenario& scenario) {
  std::vector<std::string> names;
  for (const Key& key : Keys()) names.push_back(key.name);
  object.Allow(names);
  for (const Key& key : Keys()) {
    if (const auto value = object.Find(key.name)) key.read(*value, scenario.strategy);
  }
  FollowPrecision(object, scenario.strategy);
  for (const Key& key : Keys()) {
    if (!object.Has(key.name)) scenario.defaults.push_back(std::string(key.name) + " = " + key.show(scenario.strategy));
  }
}

Model ModelOf(const Json& value, const Found& file) {
  const Part part = PartOf(value, file, OpenModel);
  const bool inline_only = !value.IsString() && !value.Has("base");
  return ModelFrom(part.fields, inline_only ? value.Where() : part.places.back().name);
}

Generation ReadGenerate(const Json& object) {
  object.Allow({"prompt", "output", "batch"});
  Generation g;
  g.prompt = object.At("prompt").Int(1, kMostTokens);
  g.output = object.At("output").Int(1, kMostTokens);
  g.batch = object.At("batch").Int(1, kMostRequests);
  return g;
}

}  // namespace

bool AsksAboutInference(const Json& root) { return root.IsObject() && root.Has("workload"); }

InferenceScenario ReadInferenceParts(const Json& root, const Found& file) {
  InferenceScenario scenario;
  scenario.base.file = file.name;
  if (const auto question = root.Find("question")) scenario.base.question = question->String();
  scenario.base.model = ModelOf(root.At("model"), file);
  scenario.base.cluster = ClusterFrom(root.At("cluster"), file);
  if (const auto price = root.Find("price_per_gpu_hour")) scenario.price_per_gpu_hour = price->Number(0, 1e6);
  ReadStrategy(root.At("strategy"), scenario);
  Settle(scenario);
  return scenario;
}

void Settle(InferenceScenario& scenario) {
  const InferenceStrategy& s = scenario.strategy;
  Scenario& base = scenario.base;
  base.model.dropout = 0;
  base.model.mtp_layers = 0;  // a draft of the next token is a question of its own: see speculative.h
  Strategy& strategy = base.strategy;
  strategy.tensor = s.tensor, strategy.pipeline = s.pipeline, strategy.data = s.replicas, strategy.expert = s.expert;
  // The experts of a layer are spread over its tensor ranks: whole ones first, then each one's columns.
  strategy.expert_tensor = base.model.moe && s.tensor % s.expert == 0 ? s.tensor / s.expert : 1;
  strategy.precision = s.precision;
  base.batch = {s.replicas, 1};
  Check(base);
}

InferenceScenario ReadGeneration(const std::string& path) {
  const Found file = FindFile(path);
  const Json root = ReadJson(file);
  root.Allow({"question", "workload", "model", "cluster", "generate", "strategy", "price_per_gpu_hour", "sources"});
  root.At("workload").OneOf({"generate"});
  InferenceScenario scenario = ReadInferenceParts(root, file);
  scenario.generation = ReadGenerate(root.At("generate"));
  return scenario;
}

}  // namespace isochrone::plan
