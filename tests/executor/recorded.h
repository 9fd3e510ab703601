#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/device_rank.h"
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

}  // namespace isochrone::executor::cuda
