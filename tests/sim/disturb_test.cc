#include "sim/disturb.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::ScheduleKind;

namespace {

plan::Plan OnLayout(plan::Plan p, int tp, int dp) {
  p.layout.tp = tp;
  p.layout.dp = dp;
  p.layout.pp = p.schedule.placement.ranks;
  return p;
}

}  // namespace

TEST_CASE("a step without disturbances is the plain step", "[disturb]") {
  const auto p = OnLayout(PlanOf(ScheduleKind::k1f1b, 4, 1, 8), 2, 3);
  const auto costs = UniformCosts(p.schedule, Costs(2, 2, 1, 1));
  const auto step = Disturb(p, costs, {});
  CHECK(step.makespan == Simulate(p, costs, false).makespan);
  CHECK(step.makespan == step.undisturbed);
  CHECK(step.pipeline_end == std::vector<double>(3, step.makespan));
  CHECK(step.group_wait == std::vector<double>(24, 0));
}

TEST_CASE("a slow GPU slows its whole group, whose others wait", "[disturb]") {
  const auto p = OnLayout(PlanOf(ScheduleKind::k1f1b, 1, 1, 4), 2, 2);
  const auto costs = UniformCosts(p.schedule, Costs(2, 1, 1));
  Disturbances slow;
  slow.slow_gpus = {{plan::RankAt(p.layout, {1, 0, 1, 0}), 1.5}};
  const auto step = Disturb(p, costs, slow);
  CHECK(step.makespan == 24);
  CHECK(step.slowest_replica == 1);
  CHECK(step.pipeline_end == std::vector<double>{16, 24});
  CHECK(step.group_wait[plan::RankAt(p.layout, {0, 0, 1, 0})] == 8);
  CHECK(step.group_wait[plan::RankAt(p.layout, {1, 0, 1, 0})] == 0);
  CHECK(step.group_wait[plan::RankAt(p.layout, {0, 0, 0, 0})] == 0);
}

TEST_CASE("a slow link lengthens the messages of its sender in its replica only", "[disturb]") {
  const auto p = OnLayout(PlanOf(ScheduleKind::k1f1b, 2, 1, 1), 1, 2);
  const auto costs = UniformCosts(p.schedule, Costs(2, 2, 1, 1));
  Disturbances slow;
  slow.slow_links = {{plan::RankAt(p.layout, {0, 0, 0, 1}), 3}};  // sends gradients from rank 1 to rank 0
  CHECK(Disturb(p, costs, slow).pipeline_end == std::vector<double>{14, 12});
}

TEST_CASE("a pause stops what runs, and costs nothing where the GPU waits anyway", "[disturb]") {
  const auto p = OnLayout(PlanOf(ScheduleKind::k1f1b, 2, 1, 1), 1, 1);
  const auto costs = UniformCosts(p.schedule, Costs(2, 2, 1));
  const auto with_pause = [&](double at) {
    Disturbances pause;
    pause.pauses = {{plan::RankAt(p.layout, {0, 0, 0, 0}), Seconds(at), Seconds(3)}};
    return Disturb(p, costs, pause).makespan;
  };
  CHECK(with_pause(1) == 13);  // in its forward pass
  CHECK(with_pause(3) == 10);  // while rank 1 works
  CHECK(with_pause(5) == 11);  // until after its gradient arrives at 7
}

TEST_CASE("jitter is the same for the same seed and grows with the group", "[disturb]") {
  const auto costs_of = [](const plan::Plan& p) { return UniformCosts(p.schedule, Costs(2, 2, 1)); };
  Disturbances jitter;
  jitter.jitter = 0.05;
  const auto small = OnLayout(PlanOf(ScheduleKind::k1f1b, 4, 1, 16), 1, 2);
  const auto large = OnLayout(PlanOf(ScheduleKind::k1f1b, 4, 1, 16), 8, 2);
  const auto a = Disturb(small, costs_of(small), jitter), b = Disturb(small, costs_of(small), jitter);
  CHECK(a.makespan == b.makespan);
  CHECK(a.group_wait == b.group_wait);
  jitter.seed = 2;
  CHECK(Disturb(small, costs_of(small), jitter).makespan != a.makespan);
  jitter.seed = 1;
  CHECK(Disturb(large, costs_of(large), jitter).makespan > a.makespan);
  // Without a pipeline: the slowest of 8 lies 1.42 standard deviations above the mean, exp(1.42 · 0.05) = 1.074.
  const auto one_rank = OnLayout(PlanOf(ScheduleKind::k1f1b, 1, 1, 500), 8, 1);
  const auto step = Disturb(one_rank, costs_of(one_rank), jitter);
  CHECK(step.makespan / step.undisturbed == Approx(1.074).margin(0.003));
}

TEST_CASE("6,144 GPUs with jitter on every task take less than two seconds", "[disturb]") {
  // Nemotron-4 340B, arXiv 2406.11704: tensor 8, pipeline 12 with 8 chunks, data 64; 2304 sequences in microbatches
  // of 1.
  const auto p = OnLayout(PlanOf(ScheduleKind::kInterleaved1f1b, 12, 8, 36), 8, 64);
  REQUIRE(p.layout.World() == 6144);
  Disturbances jitter;
  jitter.jitter = 0.03;
  const auto start = std::chrono::steady_clock::now();
  const auto step = Disturb(p, UniformCosts(p.schedule, Costs(0.01, 0.01, 0.01, 0.001)), jitter);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CAPTURE(seconds);
  CHECK(step.makespan > step.undisturbed);
  CHECK(step.group_wait.size() == 6144);
  CHECK(seconds < 2);
}
