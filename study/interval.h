#pragma once

#include <vector>

#include "costmodel/costs.h"
#include "study/predict.h"

namespace isochrone::study {

struct Range {
  Seconds low, high;
};

/// The share of the compute time of these operations whose curve rests on no measurement of this GPU and number
/// format: a stand-in of another GPU, a data sheet, an assumption. 0 to 1.
double UnmeasuredShare(const std::vector<OperationLine>& operations, const costmodel::Costs& costs);

/// The range meant to hold 80 % of measurements of such a step.
///
///   low, high = step (1 ∓ spread)
///
/// What makes runs of one configuration differ, and what the kernels do not explain, is a property of the software
/// around them more than of the shape: `spread` is the framework profile's, which `isochrone calibrate --framework`
/// reads from published rows left out of its fit; for models with experts its `expert_spread`, for others with unfused
/// attention its `unfused_spread`.
Range IntervalOf(const plan::Scenario& scenario, Seconds step_time);

}  // namespace isochrone::study
