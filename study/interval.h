#pragma once

#include "plan/scenario.h"

namespace isochrone::study {

struct Range {
  Seconds low, high;
};

/// The range meant to hold 80 % of measurements of such a step: the framework profile's spread to both sides. What
/// makes runs of one configuration differ, and what the kernels do not explain, is a property of the software around
/// them more than of the shape; profiles/frameworks says from which rows each spread was read.
Range IntervalOf(const plan::Scenario& scenario, Seconds step_time);

}  // namespace isochrone::study
