#pragma once

#include "plan/plan.h"
#include "sim/event.h"
#include "study/pricing.h"
#include "study/terms/estimate.h"

namespace isochrone::study {

/// An estimate in the shape of a played step, so that the same metrics come from both: every rank's work as the plan
/// lists it, messages, side tasks and epilogue as estimated, the rest of the step as bubble. Ends are those of the
/// step.
sim::StepResult ResultOf(const ScenarioEstimate& estimate, const plan::Plan& plan, const Pricing& pricing);

}  // namespace isochrone::study
