#pragma once

#include <functional>
#include <string>
#include <vector>

#include "costmodel/calibrate/least_squares.h"
#include "costmodel/calibrate/samples.h"
#include "costmodel/profile.h"

namespace isochrone::costmodel {

/// One curve of a profile as unknowns of a fit.
struct Curve {
  std::vector<Unknown> unknowns;  // start at the profile's values
  std::function<void(EfficiencyProfile&, const std::vector<double>&)> set;
  std::function<Source&(EfficiencyProfile&)> source;
};

/// "memory", "gemm bf16", …, "attention forward", "attention backward", in the order of fitting.
const std::vector<std::string>& CurveNames();
/// The curve that a sample constrains.
std::string CurveNameOf(const Sample& sample);
/// A new format's curve starts from that of bf16.
Curve CurveNamed(const std::string& name, const EfficiencyProfile& profile);

}  // namespace isochrone::costmodel
