#pragma once

#include "plan/metrics.h"
#include "plan/plan.h"
#include "plan/scenario.h"
#include "sim/event.h"
#include "study/pricing.h"

namespace isochrone::study {

/// Turns a played step into the figures that people ask for; docs/equations.md defines each.
///
/// period  steady time from step to step without the host's part
/// host    fixed host time per step
plan::Metrics MetricsOf(const plan::Scenario& scenario, const plan::Plan& plan, const Pricing& pricing,
                        const sim::StepResult& result, Seconds period, Seconds host);

}  // namespace isochrone::study
