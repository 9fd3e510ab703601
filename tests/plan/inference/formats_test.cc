#include <catch2/catch.hpp>

#include "plan/inference/memory.h"
#include "plan/parameters.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::plan {
namespace {

const char* kScenario = R"({"workload": "generate", "model": "models/llama2_13b.json",
  "cluster": {"node": "hardware/dgx_b200.json", "nodes": 1}, "strategy": {"tensor": 1},
  "generate": {"prompt": 512, "output": 64, "batch": 4}})";

InferenceScenario With(const tests::Folder& folder, const std::string& strategy) {
  return ReadGeneration(folder.Write("s.json", tests::Replaced(kScenario, "\"tensor\": 1", strategy)));
}

TEST_CASE("weights and cache take the bytes of their formats, scales of blocks included", "[plan]") {
  const tests::Folder folder;
  const auto memory = [&](const std::string& strategy) { return MemoryOf(With(folder, strategy), 4, 576).front(); };
  const InferenceMemory wide = memory("\"precision\": \"bf16\"");
  // Tables stay in 16 bits: 2 of 32,000 x 5,120.
  const double tables = 2 * 2.0 * 32000 * 5120, matrices = wide.weights.value - tables;
  const auto narrow = [&](const char* format) {
    return (memory(std::string("\"weights\": \"") + format + "\"").weights.value - tables) / matrices;
  };
  CHECK(narrow("fp8") == Approx(0.5).epsilon(1e-3));
  CHECK(narrow("int4") == Approx(0.25).epsilon(1e-3));
  CHECK(narrow("mxfp8") == Approx((1 + 1.0 / 32) / 2).epsilon(1e-3));
  CHECK(narrow("nvfp4") == Approx((0.5 + 1.0 / 16) / 2).epsilon(1e-3));
  CHECK(memory("\"kv_cache\": \"fp8\"").cache.value == Approx(wide.cache.value / 2));
  CHECK(memory("\"kv_cache\": \"int4\"").cache.value == Approx(wide.cache.value / 4));
}

TEST_CASE("a sliced model keeps heads and feed-forward, loses hidden width and gains two square products a layer",
          "[plan]") {
  const tests::Folder folder;
  const InferenceScenario whole = With(folder, "\"tensor\": 1"), sliced = With(folder, "\"slice\": 0.25");
  CHECK(sliced.base.model.hidden == 3840);
  CHECK(sliced.base.model.ffn == whole.base.model.ffn);
  const auto parameters = [](const InferenceScenario& s) {
    const InferenceStep step = StepOf(s, 4, 4);
    double sum = 0;
    for (const InferenceSection& section : step.stages[0]) sum += section.count * step.layers[section.layer].parameters;
    return sum;
  };
  const double kept = 0.75 * parameters(whole), turned = 40 * 2 * 3840.0 * 3840;
  CHECK(parameters(sliced) == Approx(kept + turned).epsilon(1e-3));
  CHECK(CacheBytesOf(sliced, StepOf(sliced, 1, 1), 0).per_token ==
        CacheBytesOf(whole, StepOf(whole, 1, 1), 0).per_token);
}

TEST_CASE("formats and widths that cannot be are refused with key and remedy", "[plan]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& strategy, const std::string& model = "models/llama2_13b.json") {
    const std::string text = tests::Replaced(kScenario, "models/llama2_13b.json", model);
    const std::string path = folder.Write("s.json", tests::Replaced(text, "\"tensor\": 1", strategy));
    return tests::Complaint(folder, [&] { ReadGeneration(path); });
  };
  CHECK(complaint("\"weights\": \"int3\"").find("s.json: /strategy/weights = \"int3\"") == 0);
  CHECK(complaint("\"precision\": \"int4\"").find("s.json: /strategy/precision = \"int4\"") == 0);
  CHECK(complaint("\"slice\": 0.95").find("s.json: /strategy/slice = 0.95") == 0);
  CHECK(complaint("\"slice\": 0.2", "models/mamba2_hybrid_8b.json") ==
        "s.json: /strategy/slice = 0.2\n  cuts the hidden size of attention and MLP layers, and mamba2_hybrid_8b has "
        "others\n"
        "  leave the key out");
}

}  // namespace
}  // namespace isochrone::plan
