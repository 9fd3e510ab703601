// How many requests a second each scheduler simulates on one core. Results: bench/README.md.
#include <benchmark/benchmark.h>

#include "sim/serving/arrivals.h"
#include "sim/serving/schedulers.h"

namespace {

using namespace isochrone::sim::serving;

/// About Llama 3 8B on one H100: 6 ms for the weights, 15 µs a prompt token, 60 ns a cached token.
isochrone::plan::StepCost Cost() {
  isochrone::plan::StepCost cost;
  for (int i = 0; i < isochrone::plan::CountCurve::kPoints; ++i) {
    const double tokens = isochrone::plan::CountCurve::CountAt(i);
    cost.work.seconds[static_cast<std::size_t>(i)] = 6e-3 + (tokens > 256 ? 15e-6 * (tokens - 256) : 0);
  }
  cost.per_cached = 60e-9;
  return cost;
}

void Simulate(benchmark::State& state, Scheduler scheduler) {
  const Lengths prompt{.kind = LengthKind::kExponential, .mean = 500, .least = 1, .most = 8000};
  const Lengths output{.kind = LengthKind::kExponential, .mean = 200, .least = 1, .most = 4000};
  const auto requests = Poisson(30, 100'000, prompt, output, 1);
  const isochrone::plan::StepCost cost = Cost();
  Limits limits;
  limits.cache_tokens = 400'000;
  for (auto _ : state) benchmark::DoNotOptimize(Serve(scheduler, {requests, cost, limits}));
  state.SetItemsProcessed(static_cast<std::int64_t>(requests.size()) * state.iterations());
}

BENCHMARK_CAPTURE(Simulate, continuous, Scheduler::kContinuous)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Simulate, paged, Scheduler::kPaged)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Simulate, chunked, Scheduler::kChunked)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Simulate, static_batch, Scheduler::kStatic)->Unit(benchmark::kMillisecond);

}  // namespace
