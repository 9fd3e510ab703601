#include "sim/analytic.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::MessageMode;
using plan::ScheduleKind;

namespace {

struct Arrays {
  std::vector<double> forward, input, weight;
  StageTimes Times(double message, MessageMode mode) const { return {forward, input, weight, {}, message, mode}; }
};

int StagesOf(const plan::ScheduleShape& shape) {
  return shape.kind == ScheduleKind::kDualPipe ? shape.ranks : shape.ranks * shape.chunks;
}

Arrays Equal(const plan::ScheduleShape& shape, double forward, double input, double weight) {
  const std::size_t n = StagesOf(shape);
  return {std::vector<double>(n, forward), std::vector<double>(n, input), std::vector<double>(n, weight)};
}

/// The engine's costs for uneven stages.
StepCosts CostsOf(const plan::Schedule& schedule, const Arrays& arrays, double message) {
  StepCosts costs = UniformCosts(schedule, Costs(1, 1, 1, message));
  const auto& at = schedule.placement;
  for (std::size_t slot = 0; slot < at.slot.size(); ++slot) {
    const int stage = at.stage[slot];
    double* task = &costs.task[slot * plan::kPhases];
    task[static_cast<int>(plan::Phase::kForward)] = arrays.forward[stage];
    task[static_cast<int>(plan::Phase::kBackwardInput)] = arrays.input[stage];
    task[static_cast<int>(plan::Phase::kBackwardWeight)] = arrays.weight[stage];
    task[static_cast<int>(plan::Phase::kBackward)] = arrays.input[stage] + arrays.weight[stage];
  }
  for (int rank = 0; rank < at.ranks; ++rank)
    for (int f = 0; f < at.chunks; ++f)
      for (int b = 0; b < at.chunks; ++b) {
        const int to = at.StageOf(rank, f), back = at.StageOf(rank, b);
        costs.overlapped[(rank * at.chunks + f) * at.chunks + b] =
            arrays.forward[to] + arrays.input[back] + arrays.weight[back];
      }
  return costs;
}

double Played(const plan::ScheduleShape& shape, const Arrays& arrays, double message, MessageMode mode) {
  plan::StageCosts stage = Costs(arrays.forward[0], arrays.input[0], arrays.weight[0], message);
  const plan::Plan p = PlanOf(plan::BuildSchedule(shape, stage), mode);
  return Simulate(p, CostsOf(p.schedule, arrays, message), false).makespan;
}

}  // namespace

TEST_CASE("where the estimate calls itself exact it equals the event engine", "[analytic]") {
  std::mt19937 random(99);
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  for (const auto kind : kBuiltKinds) {
    int exact = 0;
    for (int draw = 0; draw < 400; ++draw) {
      auto shape = LegalShape(kind, whole(1, 16), whole(1, 4), whole(1, 64));
      if (draw % 2 == 0 && kind == ScheduleKind::kInterleaved1f1b)
        shape.microbatches = (shape.microbatches + shape.ranks - 1) / shape.ranks * shape.ranks;
      const int weight = whole(4, 12), input = weight + whole(0, 6), forward = input + whole(0, 6);
      const double message = draw % 4 == 0 ? 0 : whole(0, forward) / 4.0;
      const auto mode = draw % 3 == 0 ? MessageMode::kBlocking : MessageMode::kOverlapped;
      const Arrays arrays = Equal(shape, forward, input, weight);
      const auto estimate = EstimatePipeline(shape, arrays.Times(message, mode));
      if (!estimate.exact) continue;
      ++exact;
      INFO(plan::NameOf(kind) << " p " << shape.ranks << " v " << shape.chunks << " m " << shape.microbatches << " F "
                              << forward << " I " << input << " W " << weight << " c " << message << " blocking "
                              << (mode == MessageMode::kBlocking));
      REQUIRE(estimate.makespan == Played(shape, arrays, message, mode));
      REQUIRE(estimate.Sum() == estimate.makespan);
    }
    const bool bound_only = kind == ScheduleKind::kVHalf || kind == ScheduleKind::kVMin ||
                            kind == ScheduleKind::kZbAuto1p || kind == ScheduleKind::kZbAuto2p;
    INFO(plan::NameOf(kind));
    CHECK((exact > 50) == !bound_only);
  }
}

TEST_CASE("for uneven stages the estimate is near the event engine", "[analytic]") {
  // Stages of a transformer: a longer last one, a tenth of spread, messages of a twentieth of a pass.
  std::mt19937 random(5);
  const auto between = [&](double least, double most) {
    return std::uniform_real_distribution<double>(least, most)(random);
  };
  for (const auto kind : kBuiltKinds) {
    double worst = 0;
    for (int draw = 0; draw < 60; ++draw) {
      const int p = 2 + draw % 11;
      const auto shape = LegalShape(kind, p, 2 + draw % 3, 4 * p + draw);
      Arrays arrays = Equal(shape, 1, 1, 1);
      for (std::size_t s = 0; s < arrays.forward.size(); ++s) {
        const double size = between(0.95, 1.05) * (s + 1 == arrays.forward.size() ? 1.2 : 1);
        arrays.forward[s] = size;
        arrays.input[s] = 1.1 * size;
        arrays.weight[s] = 0.75 * size;
      }
      const auto mode = draw % 2 == 0 ? MessageMode::kBlocking : MessageMode::kOverlapped;
      const auto estimate = EstimatePipeline(shape, arrays.Times(0.02, mode));
      CHECK_FALSE(estimate.exact);
      const double played = Played(shape, arrays, 0.02, mode);
      worst = std::max(worst, std::abs(estimate.makespan / played - 1));
    }
    INFO(plan::NameOf(kind));
    CAPTURE(worst);
    const bool one_chunk = LegalShape(kind, 2, 2, 8).chunks == 1;
    CHECK(worst <= (HasPaths(kind) ? 0.01 : one_chunk ? 0.05 : 0.11));
  }
}
