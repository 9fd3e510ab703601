#include "plan/inference/step_ops.h"

#include <catch2/catch.hpp>

#include "plan/inference/expert_ops.h"
#include "plan/inference/memory.h"
#include "plan/parameters.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::plan {
namespace {

InferenceScenario Of(const std::string& model, int tensor, int pipeline = 1, int expert = 1) {
  InferenceScenario s;
  s.base.model = ReadModel("models/" + model + ".json");
  s.base.cluster.node = ReadNode("hardware/dgx_h100.json");
  s.base.cluster.nodes = std::max(1, tensor * pipeline / 8);
  s.strategy.tensor = tensor, s.strategy.pipeline = pipeline, s.strategy.expert = expert;
  s.generation = {1024, 128, 8};
  Settle(s);
  return s;
}

double ParametersOfStep(const InferenceStep& step) {
  double sum = 0;
  for (const auto& stage : step.stages) {
    for (const InferenceSection& section : stage) sum += section.count * step.layers[section.layer].parameters;
  }
  return sum;
}

TEST_CASE("a step holds the parameters of the model, once", "[plan]") {
  for (const char* model : {"llama3_70b", "gpt3_175b", "mixtral_8x7b", "mamba2_hybrid_8b", "nemotron4_340b"}) {
    const InferenceScenario s = Of(model, 1);
    const ParameterCount count = ParametersOf(s.base.model);
    CHECK(ParametersOfStep(StepOf(s, 4, 4)) == Approx(count.Total() - count.multi_token).epsilon(2e-4));
  }
}

TEST_CASE("tensor and expert ranks share the matrices", "[plan]") {
  CHECK(ParametersOfStep(StepOf(Of("llama3_70b", 8), 4, 4)) ==
        Approx(ParametersOfStep(StepOf(Of("llama3_70b", 1), 4, 4)) / 8).epsilon(1e-3));
  const double whole = ParametersOfStep(StepOf(Of("mixtral_8x7b", 1), 4, 4));
  CHECK(ParametersOfStep(StepOf(Of("mixtral_8x7b", 8), 4, 4)) == Approx(whole / 8).epsilon(2e-3));
  CHECK(ParametersOfStep(StepOf(Of("mixtral_8x7b", 8, 1, 8), 4, 4)) == Approx(whole / 8).epsilon(2e-3));
}

TEST_CASE("the cache keeps grouped keys and values, the latent vector, or a state that does not grow", "[plan]") {
  const auto bytes = [](const InferenceScenario& s) { return CacheBytesOf(s, StepOf(s, 1, 1), 0); };
  CHECK(bytes(Of("llama3_70b", 8)).per_token.value == 80 * 2 * 1 * 128 * 2);  // one of 8 key heads a rank
  CHECK(bytes(Of("llama3_70b", 1)).per_token.value == 80 * 2 * 8 * 128 * 2);
  CHECK(bytes(Of("deepseek_v3", 8, 1, 8)).per_token.value == 61 * (512 + 64) * 2);  // the same on every rank
  const CacheBytes hybrid = bytes(Of("mamba2_hybrid_8b", 1));
  CHECK(hybrid.per_token.value == 4 * 2 * 8 * 128 * 2);
  // 24 layers: 128 heads of 64 x 128, and 3 past inputs of 8192 + 2 · 8 · 128 channels
  CHECK(hybrid.per_sequence.value == 24 * (128.0 * 64 * 128 + 3 * (8192 + 2048)) * 2);
}

TEST_CASE("few tokens visit few experts, many visit all", "[plan]") {
  const MoeSpec moe{.experts = 8, .topk = 2};
  CHECK(TouchedExperts(moe, 1) == Approx(2));
  CHECK(TouchedExperts(moe, 2) == Approx(8 * (1 - 0.75 * 0.75)));
  CHECK(TouchedExperts(moe, 100) == Approx(8));
}

TEST_CASE("weights and cache take the bytes of their format, the cache in whole pages", "[plan]") {
  InferenceScenario s = Of("llama3_70b", 8);
  s.strategy.block_tokens = 16;
  const InferenceMemory wide = MemoryOf(s, 3, 33).front();
  CHECK(wide.cache.value == 3 * 48 * 40960);
  s.strategy.weights = Dtype::kInt4;
  const InferenceMemory narrow = MemoryOf(s, 3, 33).front();
  const double tables = 2 * 128256 / 8 * 8192.0 * 2;
  CHECK((narrow.weights.value - tables) / (wide.weights.value - tables) == Approx(0.25).epsilon(0.01));
}

TEST_CASE("Nemotron-4 340B fits on eight GPUs of 80 GB in FP8 and not in BF16", "[plan]") {
  InferenceScenario s = Of("nemotron4_340b", 8);
  CHECK(CacheCapacity(s) < 0);
  s.strategy.precision = s.strategy.weights = Dtype::kFp8;
  Settle(s);
  CHECK(CacheCapacity(s) > 100'000);
}

TEST_CASE("a scenario that generates is read strictly", "[plan]") {
  const tests::Folder folder;
  const std::string good = R"({"workload": "generate", "model": "models/llama3_8b.json",
    "cluster": {"node": "hardware/dgx_h100.json", "nodes": 1},
    "generate": {"prompt": 100, "output": 10, "batch": 2}, "strategy": {"tensor": 2, "precision": "fp8"}})";
  const InferenceScenario s = ReadGeneration(folder.Write("a.json", good));
  CHECK(s.strategy.weights == Dtype::kFp8);
  CHECK(s.strategy.kv_cache == Dtype::kBf16);
  CHECK(s.generation.prompt == 100);
  const auto complaint = [&](const std::string& from, const std::string& to) {
    const std::string path = folder.Write("b.json", tests::Replaced(good, from, to));
    return tests::Complaint(folder, [&] { ReadGeneration(path); });
  };
  CHECK(complaint("\"tensor\": 2", "\"tensors\": 2").find("tensor") != std::string::npos);
  CHECK(complaint("\"prompt\": 100", "\"prompt\": 0").find("/generate/prompt = 0") != std::string::npos);
  CHECK(complaint("\"tensor\": 2", "\"tensor\": 3").find("must divide") != std::string::npos);
}

}  // namespace
}  // namespace isochrone::plan
