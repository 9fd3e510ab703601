// Training on text, for longer than rounding differences stay where they began.
#include <catch2/catch.hpp>

#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

constexpr char kText[] =
    "A rank holds a shard of every matrix and a stage of the layers. It reads what the rank before it wrote, works, "
    "and "
    "sends on what it made. When the last stage has seen the last word of a batch, the way back begins: gradients pass "
    "from stage to stage, each rank adds up what its own weights owe, and the copies of a model compare notes. Then "
    "every "
    "weight moves a little, all copies alike, and the next step starts. No rank knows how long a step takes. Each "
    "knows "
    "only its order of work, and waits where it must. Time is what the waiting and the work add up to, and whoever "
    "wants "
    "to know it before the work is done must count both. A plan says who waits for whom. A price says how long the "
    "work "
    "is. Put together they say when the last rank will be done, and a clock beside the run says whether they were "
    "right.";

}  // namespace

TEST_CASE("200 steps on 8 ranks lower the loss on text to that of one rank", "[.slow][executor]") {
  plan::Scenario s = Tiny();
  s.model.vocabulary = 256;
  s.model.sequence = 32;
  s.strategy.tensor = s.strategy.pipeline = s.strategy.data = 2;
  s.strategy.sequence_parallel = true;
  s.strategy.optimizer_sharding = plan::Sharding::kZero1;
  RunOptions options = TinyOptions(s, 200);
  options.tokens = TextTokens(7, kText, s.model.sequence);
  options.adam.learning_rate = 3e-3;
  const RunResult many = Run<double>(s, plan::BuildPlan(s), options);
  const plan::Scenario alone = OneRank(s);
  const RunResult one = Run<double>(alone, plan::BuildPlan(alone), options);
  CHECK(many.losses.front() == Approx(std::log(256)).epsilon(0.01));
  CHECK(many.losses.back() < 2.2);
  CHECK(many.losses.back() == Approx(one.losses.back()).epsilon(1e-6));
  std::printf("loss on text: %.4f at first, %.6f after 200 steps, %.6f on one rank\n", many.losses.front(),
              many.losses.back(), one.losses.back());
}
