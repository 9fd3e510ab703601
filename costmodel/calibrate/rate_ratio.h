#pragma once

#include <vector>

#include "costmodel/calibrate/samples.h"
#include "costmodel/gemm.h"
#include "costmodel/profile.h"

namespace isochrone::costmodel {

/// How fast the matrix products of tables ran, over what a profile says of the same shapes.
struct RateRatio {
  int products = 0;
  double lower = 0, median = 0, upper = 0;  // quartiles of (time by the profile) / (time in the table)
};

/// The same of the products of experts, if each form is what ran.
/// Throws Error where there is none.
RateRatio GroupedRatioOf(const std::vector<SampleTable>& tables, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                         GroupedForm form);

/// Of products alone in their sample, of `least` or more, so that launch and tails do not count.
/// Throws Error where there is none.
RateRatio RateRatioOf(const std::vector<SampleTable>& tables, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                      Flops least);

}  // namespace isochrone::costmodel
