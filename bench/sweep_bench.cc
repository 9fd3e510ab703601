// How fast configurations are priced, and how long whole searches take. Results: bench/README.md.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <numeric>

#include "plan/catalogue.h"
#include "study/search/sweep.h"

namespace {

using namespace isochrone;

/// Reads a sweep of the catalogue and answers it; counts the configurations that were priced, and the CPU seconds of
/// the threads that had most and least of them: unlike wall time, these hardly depend on what else the machine does.
void Search(benchmark::State& state, const char* file, bool prune) {
  const study::Space space = study::ReadSpace(plan::CatalogueFolder() + "/sweeps/" + file);
  study::SweepOptions options;
  options.prune = prune;
  options.jobs = static_cast<int>(state.range(0));
  study::SweepResult result;
  for (auto _ : state) {
    result = study::Sweep(space, options);
    benchmark::DoNotOptimize(result.best.data());
  }
  state.counters["legal"] = static_cast<double>(result.legal);
  state.counters["priced"] = static_cast<double>(result.priced);
  const auto [least, most] = std::minmax_element(result.cpu_s.begin(), result.cpu_s.end());
  state.counters["cpu_s_of_all"] = std::accumulate(result.cpu_s.begin(), result.cpu_s.end(), 0.0);
  state.counters["least_cpu_s"] = *least;
  state.counters["most_cpu_s"] = *most;
  state.SetItemsProcessed(result.priced * state.iterations());
}

void Configure(benchmark::internal::Benchmark* bench) {
  bench->ArgName("threads")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(Search, every_gpt3_175b_512, "gpt3_175b_512.json", false)->Apply(Configure);
BENCHMARK_CAPTURE(Search, best_gpt3_175b_512, "gpt3_175b_512.json", true)->Apply(Configure);
BENCHMARK_CAPTURE(Search, best_mtnlg_530b_5040, "mtnlg_530b_5040.json", true)->Apply(Configure);
BENCHMARK_CAPTURE(Search, best_mtnlg_530b_5128, "mtnlg_530b_5128.json", true)->Apply(Configure);

}  // namespace
