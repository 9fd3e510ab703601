#pragma once

#include "executor/clock.h"
#include "plan/plan.h"
#include "plan/samples.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Measures the ops of a plan on this machine, apart from the plan's own order, and adds those that `samples` lacks.
///
/// Ops of layers are measured where they stand in their layer: the layers of one pipeline rank run forward and
/// backward, on as many ranks as the plan has but without a pipeline between them, with as many microbatches in flight,
/// so that each op finds operands, weights, memory pool and caches as it finds them in a step. The mean counts, a
/// collective's wait for its group included. Update, norm, gradient collectives and messages run apart on arrays of the
/// plan's size, with the caches full of other data; the mean of the middle half of 9 counts.
///
/// clock     kVirtual: ranks take turns, thread CPU time counts. kWall: all ranks do the same at once and the time of
///           day counts, so that what they share (memory bandwidth, caches, the cores' clock) slows them as in a step
///
/// Requires  Check(scenario) passed; `plan` was built from `scenario`, precision fp32
/// Throws    Error for an op that the CPU does not run
void MeasureOps(const plan::Scenario& scenario, const plan::Plan& plan, ClockKind clock, plan::Samples& samples);

}  // namespace isochrone::executor
