#pragma once

#include "plan/plan.h"
#include "plan/samples.h"
#include "sim/event.h"

namespace isochrone::study {

/// Prices a plan by ops that were measured alone, for a machine that does one thing at a time (a CPU rank): the ops of
/// a pass one after the other, nothing overlapped.
///
/// Throws  Error naming the first op that was not measured.
sim::StepCosts CostsFromSamples(const plan::Plan& plan, const plan::Samples& samples);

}  // namespace isochrone::study
