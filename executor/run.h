#pragma once

#include <map>
#include <string>
#include <vector>

#include "executor/options.h"
#include "plan/metrics.h"
#include "plan/plan.h"
#include "plan/scenario.h"
#include "plan/timeline.h"

namespace isochrone::executor {

/// One op within the run: the mean over the measured steps and all ranks. Collectives include what they waited.
struct OpMeasurement {
  std::string program, name;
  int program_index = 0;  // in Plan::programs
  plan::Phase phase = plan::Phase::kForward;
  int index = 0;       // in the program's list of that phase
  double count = 0;    // times a step, on the reported rank
  double seconds = 0;  // each
};

/// What a run was measured to do. `metrics` and `timeline` are of the median step after the first.
struct RunResult {
  ClockKind clock = ClockKind::kVirtual;
  bool interrupted = false;            // by the user: what is here is of the steps that had ended
  std::vector<double> losses;          // [step], mean over the batch
  std::vector<double> gradient_norms;  // [step], before clipping
  std::vector<double> step_seconds;    // [step], over all ranks
  plan::Metrics metrics;
  plan::Timeline timeline;                           // of world ranks
  std::vector<plan::StageMemory> memory;             // [world rank], at its fullest instant
  std::vector<OpMeasurement> operations;             // that the reported rank runs
  std::map<std::string, double> step_seconds_by_op;  // prologue, epilogue, side tasks of the reported rank, per step
  /// With RunOptions::keep_tensors: full tensors by key, gradients of the last step before clipping.
  std::map<std::string, std::vector<double>> gradients, parameters;
};

/// Carries out the plan: every rank is a thread that computes on its own shards.
///
/// T         float for precision fp32 (and tf32), double to check arithmetic
/// Requires  Check(scenario) passed; `plan` was built from `scenario`
/// Throws    Error naming rank and op where a rank fails: an op that the CPU does not run, a result that is not finite,
///           memory over the limit, a message that does not come, an interrupt in the first step. All ranks have ended
///           then.
template <class T>
RunResult Run(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options);

}  // namespace isochrone::executor
