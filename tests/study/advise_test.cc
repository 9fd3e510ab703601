#include "study/advise.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "plan/parameters.h"

namespace isochrone::study {
namespace {

Advice Of(const std::string& name, const AdviseRequest& request = {}) {
  return Advise(plan::ReadScenario(plan::CatalogueFolder() + "/examples/shapes/" + name + ".json"), request);
}

const ShapeAnswer* With(const Advice& advice, std::int64_t hidden, std::int64_t head) {
  for (const ShapeAnswer& a : advice.better) {
    if (a.scenario.model.hidden == hidden && (head == 0 || a.scenario.model.head_dim == head)) return &a;
  }
  return nullptr;
}

TEST_CASE("hidden 14400 to 13824 gains over a fifth in TFLOP/s, and more in tokens a second as it is smaller",
          "[advise]") {
  const Advice advice = Of("gpt_14400_on_320_a100");
  const ShapeAnswer* aligned = With(advice, 13824, 0);
  REQUIRE(aligned != nullptr);
  const double flops = aligned->tflops_per_gpu / advice.model.tflops_per_gpu;
  const double tokens = aligned->tokens_per_s / advice.model.tokens_per_s;
  CHECK(flops > 1.2);
  CHECK(tokens > flops);
  CHECK(aligned->parameters < advice.model.parameters);
  CHECK(aligned->rule == ShapeRule::kHeadSize);  // 150 is no multiple of 8
}

TEST_CASE("heads of 64 or 128 beat the 80-wide ones of GPT-3 2.7B", "[advise]") {
  const Advice advice = Of("gpt3_2.7b_on_8_a100");
  for (const std::int64_t head : {64, 128}) {
    const ShapeAnswer* other = With(advice, 2560, head);
    REQUIRE(other != nullptr);
    CHECK(other->scenario.model.heads * head == 2560);
    CHECK(other->step_s < advice.model.step_s);
    CHECK(other->rule == ShapeRule::kHeadSize);
    CHECK(other->parameters == advice.model.parameters);
  }
}

TEST_CASE("what is listed is faster, near in parameters, and ordered", "[advise]") {
  const AdviseRequest request{.more = 0.005, .fewer = 0.03};
  const Advice advice = Of("gpt3_2.7b_on_8_a100", request);
  REQUIRE(!advice.better.empty());
  double last = 1e9;
  for (const ShapeAnswer& a : advice.better) {
    INFO(a.change);
    const double share = plan::ParametersOf(a.scenario.model).Total() / advice.model.parameters - 1;
    CHECK(share <= request.more);
    CHECK(share >= -request.fewer);
    CHECK(a.step_s < advice.model.step_s);
    CHECK(a.tflops_per_gpu > advice.model.tflops_per_gpu);
    CHECK(a.tflops_per_gpu <= last);
    CHECK(a.fits);
    CHECK(a.share > 0);
    CHECK(a.share <= 1);
    last = a.tflops_per_gpu;
  }
}

TEST_CASE("what a shape loses adds up to less than its step, and 128-wide heads lose nothing", "[advise]") {
  const plan::Scenario scenario = plan::ReadScenario(plan::CatalogueFolder() + "/examples/gpt3_on_64_a100.json");
  const Prediction p = Predict(scenario);
  const ShapeLosses losses = LossesOf(p);
  double sum = 0;
  for (const double seconds : losses) {
    CHECK(seconds >= 0);
    sum += seconds;
  }
  CHECK(sum < p.metrics.step_time.value);
  CHECK(losses[static_cast<std::size_t>(ShapeRule::kHeadSize)] == 0);
  CHECK(losses[static_cast<std::size_t>(ShapeRule::kPipeline)] == Approx(p.metrics.attribution.bubble.value));
}

}  // namespace
}  // namespace isochrone::study
