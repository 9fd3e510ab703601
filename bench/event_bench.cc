// How fast schedules are built, validated and played, and the closed-form estimate. Results: bench/README.md.
#include <benchmark/benchmark.h>

#include "sim/analytic.h"
#include "sim/player.h"

namespace {

using namespace isochrone;
using plan::ScheduleKind;

plan::ScheduleShape ShapeOf(const benchmark::State& state, ScheduleKind kind, int chunks) {
  return {kind, static_cast<int>(state.range(0)), chunks, static_cast<int>(state.range(1))};
}

plan::StageCosts Costs() {
  plan::StageCosts costs;
  costs.forward = Seconds(1.1e-3);
  costs.backward_input = costs.backward_weight = Seconds(1e-3);
  costs.message = Seconds(1e-4);
  return costs;
}

void CountTasks(benchmark::State& state, const plan::Schedule& schedule) {
  std::int64_t tasks = 0;
  for (const auto& order : schedule.order) tasks += static_cast<std::int64_t>(order.size());
  state.SetItemsProcessed(tasks * state.iterations());
}

void Play(benchmark::State& state, ScheduleKind kind, int chunks, plan::MessageMode messages, bool with_timeline) {
  plan::Plan plan;
  plan.schedule = plan::BuildSchedule(ShapeOf(state, kind, chunks), Costs());
  plan.messages = messages;
  const auto costs = sim::UniformCosts(plan.schedule, Costs());
  sim::StepPlayer player(plan);
  for (auto _ : state) benchmark::DoNotOptimize(player.Play(costs, with_timeline));
  CountTasks(state, plan.schedule);
}

void Build(benchmark::State& state, ScheduleKind kind, int chunks) {
  for (auto _ : state) benchmark::DoNotOptimize(plan::BuildSchedule(ShapeOf(state, kind, chunks), Costs()));
}

void Validate(benchmark::State& state, ScheduleKind kind, int chunks) {
  const auto schedule = plan::BuildSchedule(ShapeOf(state, kind, chunks), Costs());
  for (auto _ : state) plan::Validate(schedule);
  CountTasks(state, schedule);
}

void Estimate(benchmark::State& state, ScheduleKind kind, int chunks) {
  const auto shape = ShapeOf(state, kind, chunks);
  const std::vector<double> pass(static_cast<std::size_t>(shape.ranks) * shape.chunks, 1e-3);
  for (auto _ : state)
    benchmark::DoNotOptimize(sim::EstimatePipeline(shape, {pass, pass, pass, {}, 1e-4, plan::MessageMode::kBlocking}));
}

constexpr auto kOverlapped = plan::MessageMode::kOverlapped;
constexpr auto kBlocking = plan::MessageMode::kBlocking;
constexpr auto kMs = benchmark::kMillisecond;

BENCHMARK_CAPTURE(Play, 1f1b, ScheduleKind::k1f1b, 1, kOverlapped, false)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Play, 1f1b_blocking, ScheduleKind::k1f1b, 1, kBlocking, false)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Play, 1f1b_timeline, ScheduleKind::k1f1b, 1, kOverlapped, true)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Play, interleaved_4, ScheduleKind::kInterleaved1f1b, 4, kOverlapped, false)
    ->Args({64, 512})
    ->Unit(kMs);
BENCHMARK_CAPTURE(Play, dualpipe, ScheduleKind::kDualPipe, 2, kOverlapped, false)->Args({16, 256})->Unit(kMs);
BENCHMARK_CAPTURE(Play, zb_v, ScheduleKind::kZbV, 2, kOverlapped, false)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Build, 1f1b, ScheduleKind::k1f1b, 1)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Build, zb_2p, ScheduleKind::kZbAuto2p, 1)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Build, v_min, ScheduleKind::kVMin, 2)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Validate, 1f1b, ScheduleKind::k1f1b, 1)->Args({64, 512})->Unit(kMs);
BENCHMARK_CAPTURE(Estimate, 1f1b, ScheduleKind::k1f1b, 1)->Args({16, 64});
BENCHMARK_CAPTURE(Estimate, interleaved_4, ScheduleKind::kInterleaved1f1b, 4)->Args({16, 64});

}  // namespace
