#pragma once

#include <vector>

#include "executor/report.h"
#include "executor/run.h"

namespace isochrone::executor {

/// Fills metrics, timeline, memory and operations of `result` from the ranks' records. `result.step_seconds` is there.
void Measure(const plan::Scenario& scenario, const plan::Plan& plan, const std::vector<RankReport>& ranks,
             RunResult& result);

}  // namespace isochrone::executor
