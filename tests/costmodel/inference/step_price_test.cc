#include "costmodel/inference/step_price.h"

#include <catch2/catch.hpp>

#include "tests/costmodel/round_gpu.h"

namespace isochrone::costmodel {
namespace {

plan::InferenceScenario Small(int tensor = 1) {
  plan::InferenceScenario s;
  s.base.model = plan::ReadModel("models/llama3_8b.json");
  s.base.cluster.node = plan::ReadNode("hardware/dgx_a100_80gb.json");
  s.strategy.tensor = tensor;
  s.generation = {1024, 128, 1};
  plan::Settle(s);
  return s;
}

EngineProfile Plain() { return {}; }

TEST_CASE("the cache is read at its share of the bandwidth, or multiplied where many heads share it", "[costmodel]") {
  plan::CacheUse use;
  use.kernel = {.heads = 8, .kv_heads = 2, .qk_dim = 128, .v_dim = 128};
  const plan::Gpu gpu = RoundGpu();  // 100 TFLOP/s, 1 TB/s
  EngineProfile engine = Plain();
  engine.attention_over_peak = 0.5;
  CHECK(PriceOf(use, plan::Dtype::kBf16, gpu, IdealProfile(), engine).per_cached == Approx(2 * 256 * 2 / 0.5e12));
  CHECK(PriceOf(use, plan::Dtype::kFp8, gpu, IdealProfile(), engine).per_cached == Approx(2 * 256 / 0.5e12));
  use.latent = 576, use.latent_key = 64, use.kernel.heads = 1024;
  CHECK(PriceOf(use, plan::Dtype::kBf16, gpu, IdealProfile(), engine).per_cached ==
        Approx(2.0 * 1024 * (576 + 512) / 100e12));
}

TEST_CASE("one token costs at least its weights over the bandwidth; int4 weights a quarter of that at least",
          "[costmodel]") {
  plan::InferenceScenario s = Small();
  const EfficiencyProfile& profile = *ProfileOf(s.base.cluster.node.gpu);
  const double wide = ReplicaCostOf(s, profile, Plain()).stages.front().work(1);
  const double bytes = 2 * 32 * (4096.0 * (4096 + 2048) + 4096 * 4096 + 3 * 4096 * 14336);
  CHECK(wide > bytes / 2.039e12);
  CHECK(wide < 1.6 * bytes / 2.039e12);
  s.strategy.weights = plan::Dtype::kInt4;
  const double narrow = ReplicaCostOf(s, profile, Plain()).stages.front().work(1);
  CHECK(narrow < 0.65 * wide);  // launches and the feeding of tiles stay
  CHECK(narrow > bytes / 4 / 2.039e12);
}

TEST_CASE("a step's price never falls with its tokens", "[costmodel]") {
  const plan::InferenceScenario s = Small(2);
  const plan::StepCost cost = ReplicaCostOf(s).stages.front();
  for (double tokens = 1; tokens < 60000; tokens *= 1.37) CHECK(cost.work(tokens * 1.37) >= 0.93 * cost.work(tokens));
  CHECK(cost.work(32768) > 100 * cost.work(1));
}

TEST_CASE("an engine with a one-shot all-reduce pays less for small messages and nothing for large ones",
          "[costmodel]") {
  const plan::InferenceScenario s = Small(8);
  const EfficiencyProfile& profile = *ProfileOf(s.base.cluster.node.gpu);
  EngineProfile engine = Plain();
  const plan::StepCost library = ReplicaCostOf(s, profile, engine).stages.front();
  engine.one_shot = Seconds(5e-6);
  const plan::StepCost own = ReplicaCostOf(s, profile, engine).stages.front();
  CHECK(own.work(1) < library.work(1));
  CHECK(own.work(16384) == Approx(library.work(16384)));
  CHECK(OneShotAllReduce(Bytes(300e3), 8, s.base.cluster.node, engine).value == Approx(5e-6 + 7 * 1e-6));
}

TEST_CASE("an engine that launches each operation waits for the host, a captured graph does not", "[costmodel]") {
  plan::InferenceScenario s = Small();
  const EfficiencyProfile& profile = *ProfileOf(s.base.cluster.node.gpu);
  EngineProfile engine = Plain();
  engine.launch = Seconds(50e-6), engine.graphs = false;
  const plan::StepCost eager = ReplicaCostOf(s, profile, engine).stages.front();
  CHECK(eager.Seconds({.decoded = 1, .cached = 100}) == eager.enqueue_decode);
  CHECK(eager.enqueue_decode > 32 * 10 * 50e-6);
  engine.graphs = true;
  CHECK(ReplicaCostOf(s, profile, engine).stages.front().enqueue_decode == 0);
}

TEST_CASE("a published engine name finds the longest profile that begins it", "[costmodel]") {
  CHECK(EngineNamed("vllm 2023") == "vllm_2023");
  CHECK(EngineNamed("trtllm 1.0.0rc3") == "trtllm_1.0.0rc3");
  CHECK(EngineNamed("trtllm 9.9") == "trtllm");
  CHECK(EngineNamed("megatron 2022, unfused attention") == "megatron_2022");
  CHECK(EngineNamed("vllmish") == "ideal");
  CHECK_THROWS_WITH(EngineOf("vlm", RoundGpu()), Catch::Contains("did you mean \"vllm\"?"));
}

TEST_CASE("no engine has more than four constants", "[costmodel]") {
  const EngineProfile plain = Plain();
  for (const std::string& name : EngineNames()) {
    const EngineProfile e = EngineOf(name, plan::ReadGpu("hardware/h100_sxm_80gb.json"));
    const int changed = (e.step != plain.step) + (e.sequence != plain.sequence) + (e.launch != plain.launch) +
                        (e.one_shot != plain.one_shot) + (e.kernel_time != 1) + (e.tensor_communication != 1) +
                        (e.attention_over_peak != plain.attention_over_peak);
    CHECK(changed <= 4);
  }
}

}  // namespace
}  // namespace isochrone::costmodel
