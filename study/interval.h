#pragma once

#include "plan/metrics.h"
#include "plan/scenario.h"

namespace isochrone::study {

struct Range {
  Seconds low, high;
};

/// The range meant to hold 80 % of measurements of such a step. Each kind of time is uncertain by its own share, as the
/// residuals of its fits say; the shares of one step move together, so they add.
Range IntervalOf(const plan::Scenario& scenario, const plan::Metrics& metrics);

}  // namespace isochrone::study
