#pragma once

#include <vector>

#include "executor/rank.h"
#include "executor/report.h"
#include "executor/run.h"

namespace isochrone::executor {

// What the forms of a run share: ranks as threads (run.cc) and as processes (run_mpi.cc).

/// Throws Error for what the CPU does not run.
RunPlan PrepareRun(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options);

/// What `rank` saw in the steps that it ended.
template <class T>
RankReport ReportOf(Rank<T>& rank, std::vector<StepRecord> records, bool keep_tensors);

/// One result from the reports of all ranks, over the steps that all of them ended.
/// Throws Error if there is none.
RunResult ResultOf(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options,
                   const std::vector<RankReport>& ranks);

}  // namespace isochrone::executor
