#include "plan/inference/step_cost.h"

#include <catch2/catch.hpp>

namespace isochrone::plan {
namespace {

/// One microsecond a token, and what decoding adds.
StepCost Simple() {
  StepCost cost;
  for (int i = 0; i < CountCurve::kPoints; ++i) {
    cost.work.seconds[static_cast<std::size_t>(i)] = 1e-6 * CountCurve::CountAt(i) + 1e-3;
    cost.head.seconds[static_cast<std::size_t>(i)] = 2e-6 * CountCurve::CountAt(i);
  }
  cost.host = 1e-4, cost.host_per_sequence = 1e-5;
  cost.decode_floor = 1e-4, cost.per_cached = 1e-8, cost.per_decoded = 1e-7;
  cost.prompt_floor = 2e-4, cost.per_pair = 1e-10, cost.per_prompt_token = 1e-8;
  return cost;
}

TEST_CASE("a curve goes through its points, is straight between them and goes on by its last slope", "[plan]") {
  CountCurve curve;
  for (int i = 0; i < CountCurve::kPoints; ++i)
    curve.seconds[static_cast<std::size_t>(i)] = CountCurve::CountAt(i) * CountCurve::CountAt(i);
  CHECK(curve(0) == 0);
  CHECK(curve(1) == 1);
  CHECK(curve(3) == 9);
  CHECK(curve(96) == 96.0 * 96.0);
  CHECK(curve(5) == (16 + 36) / 2.0);
  CHECK(curve(0.3) == 1);
  const double last = CountCurve::CountAt(CountCurve::kPoints - 1),
               before = CountCurve::CountAt(CountCurve::kPoints - 2);
  const double slope = (last * last - before * before) / (last - before);
  CHECK(curve(2 * last) == Approx(last * last + slope * last));
}

TEST_CASE("a run of decode steps costs what its steps cost one by one, also where the host bounds the first",
          "[plan]") {
  for (const double enqueue : {0.0, 1.4e-3, 1.9e-3, 1.0}) {
    StepCost cost = Simple();
    cost.enqueue_decode = enqueue;
    double cached = 20000, sum = 0;
    for (int i = 0; i < 500; ++i, cached += 40) sum += cost.Seconds({.decoded = 40, .cached = cached});
    CHECK(cost.DecodeRun(40, 20000, 500) == Approx(sum).epsilon(1e-12));
  }
}

TEST_CASE("a step of prompts and decoded tokens shares the weights and adds both kinds of attention", "[plan]") {
  const StepCost cost = Simple();
  const StepLoad decode{.decoded = 8, .cached = 800};
  const StepLoad prompt{.prompt_tokens = 512, .prompt_pairs = 512 * 256, .pieces = 1};
  const StepLoad both{.prompt_tokens = 512, .prompt_pairs = 512 * 256, .pieces = 1, .decoded = 8, .cached = 800};
  CHECK(cost.Seconds(both) < cost.Seconds(decode) + cost.Seconds(prompt) - 0.9e-3);
  CHECK(cost.Gpu(both) - cost.work(520) - cost.head(9) ==
        Approx((cost.Gpu(decode) - cost.work(8) - cost.head(8)) + (cost.Gpu(prompt) - cost.work(512) - cost.head(1))));
}

}  // namespace
}  // namespace isochrone::plan
