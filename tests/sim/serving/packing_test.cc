#include "sim/serving/packing.h"

#include <catch2/catch.hpp>

#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {
namespace {

TEST_CASE("first fit packs prompts into few bins, and a packed row pays for its own pairs only", "[serving]") {
  const std::vector<std::int32_t> lengths = {5, 10, 4, 1, 6, 3};
  const std::vector<Bin> bins = FirstFitDecreasing(lengths, 10);
  REQUIRE(bins.size() == 3);  // 10, 6 + 4, 5 + 3 + 1
  CHECK(bins[1].members == std::vector<std::size_t>{4, 2});
  CHECK(bins[2].members == std::vector<std::size_t>{0, 5, 3});
  const double own = (25 + 100 + 16 + 1 + 36 + 9) / 2.0;
  const plan::StepLoad flat = PromptStep(lengths, PromptLayout::kFlat),
                       padded = PromptStep(lengths, PromptLayout::kPadded),
                       packed = PromptStep(lengths, PromptLayout::kPacked);
  CHECK(flat.prompt_tokens == 29);
  CHECK(flat.prompt_pairs == own);
  CHECK(padded.prompt_tokens == 6 * 10);
  CHECK(padded.prompt_pairs == 6 * 100 / 2.0);
  CHECK(packed.prompt_tokens == 3 * 10);
  CHECK(packed.prompt_pairs == own);
  CHECK(packed.pieces == 6);
  CHECK(PromptStep({}, PromptLayout::kPacked).pieces == 0);
}

TEST_CASE("a batch of unequal prompts takes longest where it is padded, packed less, flat least", "[serving]") {
  plan::StepCost cost;
  cost.per_prompt_token = 1;
  const std::vector<Request> requests = {{0, 10, 1}, {0, 3, 1}, {0, 4, 1}};
  const auto took = [&](Scheduler scheduler, PromptLayout layout) {
    return Serve(scheduler, {requests, cost, {.layout = layout}}).end;
  };
  for (const Scheduler scheduler : {Scheduler::kStatic, Scheduler::kBatchDispatch}) {
    CHECK(took(scheduler, PromptLayout::kPadded) == 30);
    CHECK(took(scheduler, PromptLayout::kPacked) == 20);
    CHECK(took(scheduler, PromptLayout::kFlat) == 17);
  }
}

}  // namespace
}  // namespace isochrone::sim::serving
