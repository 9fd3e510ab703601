#include "plan/inference/inference_scenario.h"

#include <algorithm>
#include <cmath>
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

Key Real(const char* name, double InferenceStrategy::*member, double least, double most) {
  return {name, [=](const Json& v, InferenceStrategy& s) { s.*member = v.Number(least, most); },
          [=](const InferenceStrategy& s) {
            std::ostringstream out;
            out << s.*member;
            return out.str();
          }};
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
      Real("memory_share", &S::memory_share, 0.01, 1),
      Real("clock_mhz", &S::clock_mhz, 1, 1e5),
      Real("slice", &S::slice, 0, 0.9)};
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

/// A GPU whose multiprocessors run at `share` of their clock: its memory keeps its own.
void SlowDown(Gpu& gpu, double share) {
  for (FlopsPerSecond* rate : {&gpu.fp64, &gpu.fp32, &gpu.tf32, &gpu.fp16, &gpu.bf16, &gpu.fp8, &gpu.fp4, &gpu.int8})
    *rate = share * *rate;
}

void CapClock(const Json& strategy, InferenceScenario& scenario) {
  if (scenario.strategy.clock_mhz == 0) return;
  const double share = scenario.ClockShare();
  if (share > 1) {
    const auto full = std::llround(scenario.base.cluster.node.gpu.boost_clock_hz / kMega);
    strategy.At("clock_mhz")
        .Fail("is over the full clock of " + scenario.base.cluster.node.gpu.name,
              "give at most " + std::to_string(full));
  }
  SlowDown(scenario.base.cluster.node.gpu, share);
}

/// Cuts the hidden size down to a multiple of 8.
/// Source  Ashkboos et al., "SliceGPT: compress large language models by deleting rows and columns", arXiv 2401.15024.
void Slice(const Json& strategy, InferenceScenario& scenario) {
  if (scenario.strategy.slice == 0) return;
  Model& model = scenario.base.model;
  if (model.mamba || model.speech)
    strategy.At("slice").Fail("cuts the hidden size of attention and MLP layers, and " + model.name + " has others",
                              "leave the key out");
  const double kept = (1 - scenario.strategy.slice) * static_cast<double>(model.hidden);
  model.hidden = 8 * static_cast<std::int64_t>(kept / 8);
  if (model.hidden < 8) strategy.At("slice").Fail("leaves no width", "give less");
}

Generation ReadGenerate(const Json& object) {
  object.Allow({"prompt", "output", "batch"});
  Generation g;
  g.prompt = object.At("prompt").Int(1, kMostTokens);
  g.output = object.At("output").Int(1, kMostTokens);
  g.batch = object.At("batch").Int(1, kMostRequests);
  return g;
}

DraftTree ReadTree(const Json& nodes) {
  DraftTree tree;
  for (const Json& node : nodes.Items()) {
    node.Allow({"parent", "acceptance"});
    tree.parent.push_back(
        static_cast<int>(node.At("parent").Int(-1, static_cast<std::int64_t>(tree.parent.size()) - 1)));
    tree.acceptance.push_back(node.At("acceptance").Number(0, 1));
  }
  if (tree.parent.empty()) nodes.Fail("has no node", "give { \"parent\": -1, \"acceptance\": 0.7 }, …");
  return tree;
}

Speculation ReadSpeculation(const Json& object, const Found& file, const InferenceScenario& scenario) {
  object.Allow({"draft", "acceptance", "drafted", "tree", "draft_tensor", "layer_parallel", "at_once"});
  Speculation s;
  s.draft = ModelOf(object.At("draft"), file);
  if (s.draft.vocabulary != scenario.base.model.vocabulary)
    object.At("draft").Fail("has a vocabulary of " + std::to_string(s.draft.vocabulary) + ", and the model one of " +
                                std::to_string(scenario.base.model.vocabulary),
                            "draft with a model of the same tokens");
  if (const auto tree = object.Find("tree")) {
    if (object.Has("drafted") || object.Has("acceptance"))
      tree->Fail("says what is drafted, and so do drafted and acceptance", "give either");
    s.tree = ReadTree(*tree);
  } else {
    s.chain_acceptance = object.At("acceptance").Number(0, 1);
    s.tree = DraftTree::Chain(*s.chain_acceptance, static_cast<int>(object.At("drafted").Int(1, 64)));
  }
  const int gpus = scenario.strategy.tensor * scenario.strategy.pipeline;
  if (const auto n = object.Find("draft_tensor")) s.draft_tensor = static_cast<int>(n->Int(1, gpus));
  if (const auto n = object.Find("layer_parallel")) {
    s.layer_parallel = static_cast<int>(n->Int(1, gpus));
    if (s.layer_parallel > 1 && s.draft_tensor > 1)
      n->Fail("puts whole layers on GPUs, and draft_tensor cuts them", "leave out one of the two");
  }
  if (const auto at_once = object.Find("at_once")) s.at_once = at_once->Bool();
  return s;
}

}  // namespace

DraftTree DraftTree::Chain(double acceptance, int drafted) {
  DraftTree tree;
  for (int i = 0; i < drafted; ++i) tree.parent.push_back(i - 1), tree.acceptance.push_back(acceptance);
  return tree;
}

double InferenceScenario::ClockShare() const {
  return strategy.clock_mhz > 0 ? strategy.clock_mhz * kMega / base.cluster.node.gpu.boost_clock_hz : 1;
}

Model ModelOf(const Json& value, const Found& file) {
  const Part part = PartOf(value, file, OpenModel);
  const bool inline_only = !value.IsString() && !value.Has("base");
  return ModelFrom(part.fields, inline_only ? value.Where() : part.places.back().name);
}

bool AsksAboutInference(const Json& root) { return root.IsObject() && root.Has("workload"); }

InferenceScenario ReadInferenceParts(const Json& root, const Found& file) {
  InferenceScenario scenario;
  scenario.base.file = file.name;
  if (const auto question = root.Find("question")) scenario.base.question = question->String();
  scenario.base.model = ModelOf(root.At("model"), file);
  scenario.base.cluster = ClusterFrom(root.At("cluster"), file);
  if (const auto price = root.Find("price_per_gpu_hour")) scenario.price_per_gpu_hour = price->Number(0, 1e6);
  ReadStrategy(root.At("strategy"), scenario);
  CapClock(root.At("strategy"), scenario);
  Slice(root.At("strategy"), scenario);
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
  root.Allow({"question", "workload", "model", "cluster", "generate", "strategy", "speculative", "price_per_gpu_hour",
              "sources"});
  root.At("workload").OneOf({"generate"});
  InferenceScenario scenario = ReadInferenceParts(root, file);
  scenario.generation = ReadGenerate(root.At("generate"));
  if (const auto draft = root.Find("speculative")) scenario.speculation = ReadSpeculation(*draft, file, scenario);
  return scenario;
}

}  // namespace isochrone::plan
