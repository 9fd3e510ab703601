#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/device_rank.h"
#include "executor/cuda/gpu_bench.h"
#include "executor/cuda/recorder.h"
#include "executor/rank_run.h"
#include "plan/build.h"

namespace isochrone::executor::cuda {

/// All ranks of a plan on recorded devices: every rank launches its step, then every rank waits for its own.
inline RunResult RunRecorded(const plan::Scenario& scenario, const RunOptions& options, Recorder& recorder) {
  const plan::Plan plan = plan::BuildPlan(scenario);
  const DevicePlan run = PrepareDevicePlan(scenario, plan, options);
  std::vector<std::unique_ptr<Calls>> calls;
  std::vector<std::unique_ptr<DeviceRank>> ranks;
  for (int r = 0; r < plan.layout.World(); ++r) {
    calls.push_back(recorder.Join(r));
    ranks.push_back(std::make_unique<DeviceRank>(run, r, *calls.back()));
  }
  for (int step = 0; step < options.steps; ++step) {
    for (auto& rank : ranks) rank->Launch(step);
    for (auto& rank : ranks) rank->Collect();
  }
  for (auto& rank : ranks) rank->Finish();
  std::vector<RankReport> reports;
  for (auto& rank : ranks) reports.push_back(rank->Report());
  return ResultOf(scenario, plan, options, reports);
}

/// The GPUs of a machine, recorded, measured: every rank launches a round, then every rank waits for its own.
inline GpuTimings MeasureRecorded(int gpus, const BenchRequest& request, Recorder& recorder) {
  std::vector<std::unique_ptr<Calls>> calls;
  std::vector<std::unique_ptr<RankBench>> ranks;
  for (int r = 0; r < gpus; ++r) {
    calls.push_back(recorder.Join(r));
    ranks.push_back(std::make_unique<RankBench>(*calls.back(), r, gpus, request));
  }
  while (true) {
    std::vector<RankBench*> launched;
    for (auto& rank : ranks)
      if (rank->Launch()) launched.push_back(rank.get());
    if (launched.empty()) break;
    for (RankBench* rank : launched) rank->Collect();
  }
  return ranks.front()->Timings();
}

}  // namespace isochrone::executor::cuda
