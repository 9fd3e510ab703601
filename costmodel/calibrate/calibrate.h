#pragma once

#include <string>
#include <vector>

#include "costmodel/calibrate/samples.h"
#include "costmodel/profile.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

struct CalibrationRequest {
  plan::Gpu gpu;
  EfficiencyProfile start;          // where each curve starts, and stays where nothing was measured
  std::vector<SampleTable> tables;  // what was measured
  std::string command;              // that reproduces the fit; written into the profile
  std::string date;                 // of the fit
  int folds = 5;                    // of the cross-validation; 0: none
  int most_samples = 4000;          // per curve; more are thinned evenly over size
};

/// How a fitted curve does on part of its samples. Residuals are ln(predicted / measured).
struct RegionResidual {
  std::string region;  // "m, n, k >= 1024"
  int samples = 0;
  double median_absolute = 0, ninetieth = 0, bias = 0;  // bias: the median, above 0 is predicted too slow
};

struct FittedCurve {
  std::string name;  // "gemm bf16", "attention forward", "memory"
  int fitted_to = 0;
  std::vector<std::pair<std::string, double>> constants;
  std::vector<RegionResidual> regions;  // over all samples, also those that were thinned out; the first is "all"
  double cross_validated = 0;           // median |residual| on folds that the fit did not see; 0 without folds
};

struct CalibrationReport {
  EfficiencyProfile profile;
  std::vector<FittedCurve> curves;
};

/// Fits the curves of `start` to measurements of one GPU, by least squares on ln(predicted / measured) with the same
/// code that prices predictions. Curves are fitted one after the other: memory, then each GEMM format, then attention.
/// A curve with fewer than 20 samples keeps its start.
///
/// Throws Error when no table holds a sample that any curve prices.
CalibrationReport Calibrate(const CalibrationRequest& request);

/// The report as text: each curve, its constants, its residuals by region.
std::string Print(const CalibrationReport& report);

}  // namespace isochrone::costmodel
