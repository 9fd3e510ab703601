#pragma once

#include "plan/plan.h"
#include "plan/samples.h"
#include "plan/scenario.h"
#include "sim/event.h"

namespace isochrone::study {

/// Time of a step from ops that were measured apart, on a machine where a rank does one thing at a time (a CPU rank):
/// the ops of a pass one after the other, gathers and reductions beside the pipeline where they are anchored, nothing
/// overlapped. A message is copied by its sender and by its receiver, half its measured time each; tensor ranks that
/// receive a part each gather the whole.
///
/// Requires  `plan` was built from `scenario`
/// Throws    Error naming the first op that was not measured
Seconds PredictFromSamples(const plan::Scenario& scenario, const plan::Plan& plan, const plan::Samples& samples);

}  // namespace isochrone::study
