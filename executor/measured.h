#pragma once

#include <vector>

#include "executor/run.h"

namespace isochrone::executor {

/// What one rank recorded.
struct RankView {
  const std::vector<StepRecord>* records;
  const OpTimes* times;
  const Memory* memory;
  const std::vector<std::string>* names;
};

/// Fills metrics, timeline, memory and operations of `result` from the ranks' records. `result.step_seconds` is there.
void Measure(const plan::Scenario& scenario, const plan::Plan& plan, const std::vector<RankView>& ranks,
             RunResult& result);

}  // namespace isochrone::executor
