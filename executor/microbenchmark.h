#pragma once

#include "plan/plan.h"
#include "plan/samples.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Measures every op of a plan alone on this machine and adds those that `samples` lacks.
///
/// A compute op runs on buffers of its own, with the kernels, operands and buffers from the pool that a rank uses; a
/// collective runs on as many threads as its group has ranks, which take turns as in virtual time; a message between
/// two. Each is warmed up twice and repeated until 11 times and 4 ms are reached; the median of CPU time counts. Before
/// each compute op the caches are filled with other data, as the rest of a layer fills them.
///
/// Requires  Check(scenario) passed; `plan` was built from `scenario`, precision fp32
/// Throws    Error for an op that the CPU does not run
void MeasureOps(const plan::Scenario& scenario, const plan::Plan& plan, plan::Samples& samples);

}  // namespace isochrone::executor
