#include "sim/serving/pipelined.h"

#include <catch2/catch.hpp>

#include <numeric>

#include "sim/serving/arrivals.h"
#include "sim/serving/schedulers.h"
#include "sim/serving/stage_line.h"

namespace isochrone::sim::serving {
namespace {

/// Two stages: 1 s a decode step, 2 s a prompt, on each.
plan::ReplicaCost TwoStages() {
  plan::StepCost cost;
  cost.decode_floor = 1, cost.prompt_floor = 2;
  return {.stages = {cost, cost}};
}

plan::StepLoad Lasting(double seconds) { return {.prompt_tokens = seconds, .pieces = 1}; }

TEST_CASE("unequal steps leave bubbles in a line of stages, equal ones do not", "[serving]") {
  plan::StepCost cost;  // a second a token
  cost.per_prompt_token = 1;
  const plan::ReplicaCost replica{.stages = {cost, cost}};
  const auto bubbles = [&](const std::vector<double>& steps) {
    StageLine line(replica);
    double sum = 0;
    for (const double s : steps) sum += line.Pass(0, Lasting(s)).bubble;
    return sum;
  };
  CHECK(bubbles({2, 2, 2, 2}) == 0);
  CHECK(bubbles({1, 3, 1, 4}) == 2 + 1);  // the second stage waits for each long step
  StageLine line(replica);
  line.Pass(0, Lasting(2));
  CHECK(line.Pass(10, Lasting(2), true).bubble == 0);  // nothing was there to do
}

TEST_CASE("two groups by hand: each decodes while the other's step is in the other stage", "[serving]") {
  const std::vector<Request> requests = {{0, 10, 3}, {0, 10, 3}};
  const plan::ReplicaCost cost = TwoStages();
  const Served served = Pipelined({requests, cost, {.sequences = 1}});
  // Prompts 0-2-4 and 2-4-6; first group's tokens 4-5-6, then its turn comes at 6: behind the other's prompt.
  CHECK(served.outcomes[0].first_token == 4);
  CHECK(served.outcomes[1].first_token == 6);
  CHECK(served.outcomes[0].finish == 9);   // 4-5, waits, 6-7; 7-8-9
  CHECK(served.outcomes[1].finish == 10);  // 6-7-8, 8-9-10
}

TEST_CASE("one stage is the plain continuous engine", "[serving]") {
  plan::StepCost cost;
  for (int i = 0; i < plan::CountCurve::kPoints; ++i)
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.01 + 1e-4 * plan::CountCurve::CountAt(i);
  cost.per_cached = 1e-6;
  const plan::ReplicaCost replica{.stages = {cost}};
  const Lengths prompt{.kind = LengthKind::kLognormal, .mean = 300, .deviation = 1, .least = 1, .most = 4000};
  const Lengths output{.kind = LengthKind::kExponential, .mean = 100, .least = 1, .most = 1000};
  const std::vector<Request> requests = Poisson(3, 400, prompt, output, 7);
  const Limits limits{.cache_tokens = 12000, .sequences = 64, .token_budget = 2048};
  for (const bool chunked : {false, true}) {
    const Served line = Pipelined({requests, replica, limits, chunked});
    const Served plain = chunked ? Chunked({requests, cost, limits}) : Continuous({requests, cost, limits});
    REQUIRE(line.outcomes.size() == plain.outcomes.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      CHECK(line.outcomes[i].first_token == Approx(plain.outcomes[i].first_token));
      CHECK(line.outcomes[i].finish == Approx(plain.outcomes[i].finish));
    }
    CHECK(line.bubble_seconds == Approx(0).margin(1e-9));
  }
}

TEST_CASE("equal chunks leave a pipeline fewer bubbles than whole prompts, and nobody is lost", "[serving]") {
  plan::StepCost cost;
  for (int i = 0; i < plan::CountCurve::kPoints; ++i)
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.005 + 2e-5 * plan::CountCurve::CountAt(i);
  const plan::ReplicaCost replica{.stages = {cost, cost, cost, cost}};
  const Lengths prompt{.kind = LengthKind::kUniform, .least = 900, .most = 3600}, output{.mean = 150};
  std::vector<Request> requests = Poisson(1e9, 300, prompt, output, 2);
  requests[17].prompt = 200'000;  // can never be held
  requests[18].prompt = 0;
  Limits limits{.cache_tokens = 100'000, .sequences = 16, .token_budget = 256};
  const Served chunks = Pipelined({requests, replica, limits, true});
  limits.token_budget = 1e9;
  const Served whole = Pipelined({requests, replica, limits, false});
  for (const Served& served : {chunks, whole}) {
    CHECK(served.outcomes[17].fate == Fate::kTooLong);
    double tokens = 0;
    for (const Gap& gap : served.gaps) tokens += gap.tokens;
    CHECK(tokens == 299 * 149);
    for (std::size_t i = 0; i < requests.size(); ++i) CHECK(served.outcomes[i].finish <= served.end);
    CHECK(std::accumulate(served.bubbles.begin(), served.bubbles.end(), 0.0) > 0);
  }
  CHECK(chunks.bubble_seconds < whole.bubble_seconds / 2);
  CHECK(chunks.end < whole.end);
}

}  // namespace
}  // namespace isochrone::sim::serving
