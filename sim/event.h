#pragma once

#include <vector>

#include "base/units.h"
#include "plan/plan.h"
#include "plan/timeline.h"

namespace isochrone::sim {

/// Costs of one step, as the engine needs them: per slot (pipeline rank · chunks + chunk) and phase, one number;
/// messages by the stage they leave; side tasks, prologue and epilogue ops one number each, in the order of the plan.
/// They may come from the cost model, from a measured run, or from a test.
struct StepCosts {
  std::vector<double> task;  // [slot * kPhases + phase], seconds
  /// kOverlapped: seconds for (forward slot, backward slot) on the same rank, [rank * chunks² + chunk_f * chunks +
  /// chunk_b]
  std::vector<double> overlapped;
  std::vector<double> forward_message;                  // [direction * stages + stage]: from `stage` to stage + 1
  std::vector<double> backward_message;                 // [direction * stages + stage]: from `stage` to stage − 1
  std::vector<double> side;                             // [Plan::side]
  std::vector<std::vector<double>> prologue, epilogue;  // [pipeline rank][op]
};

/// Where each rank's time went, in seconds; busy + waits add up to the makespan.
struct RankUse {
  double busy = 0;     // tasks
  double message = 0;  // held by, or waiting for, a message in flight
  double bubble = 0;   // waiting for work that had not been sent
  double side = 0;     // waiting for a side task
  double prologue = 0, epilogue = 0, barrier = 0;
};

struct StepResult {
  double makespan = 0;
  std::vector<RankUse> ranks;
  std::vector<int> peak_in_flight;  // [slot] most microbatches alive at once (forward begun, backward not ended)
  plan::Timeline timeline;          // empty unless asked for
};

/// Plays a plan forward: one representative GPU per pipeline rank.
///
/// A task starts when its rank's compute stream is free and its inputs have arrived (Schedule says which); blocking
/// messages hold the compute streams of sender and receiver. Side tasks run on their own stream between their anchors.
/// Ties break by rank, then by position, so the same input always gives the same bytes.
///
/// Requires  plan::Validate(plan.schedule) passed; costs have the plan's sizes
/// Throws    Error naming the ranks that wait for each other, if none can move
StepResult Simulate(const plan::Plan& plan, const StepCosts& costs, bool with_timeline);

}  // namespace isochrone::sim
