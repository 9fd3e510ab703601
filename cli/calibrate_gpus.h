#pragma once

#include <functional>
#include <string>
#include <vector>

#include "costmodel/calibrate/calibrate.h"
#include "executor/cuda/gpu_timings.h"

namespace isochrone::cli {

/// What `calibrate --device cuda` is asked for.
struct GpuCalibration {
  std::string gpu;   // its data sheet: of the catalogue, or a file
  std::string node;  // the server's, for a profile of its links; empty: none
  std::string out;   // "h100.json": the profile; "h100.kernels.csv", … lie beside it
  std::string command;
  std::vector<std::string> tables;  // measured elsewhere, to be fitted too
  int folds = 5, most_samples = 2400;
};

/// What was written.
struct GpuCalibrated {
  costmodel::CalibrationReport report;
  std::string kernels, links_table, links_profile;  // files; empty: not measured, or no node named
  std::string links_report;
};

/// Writes what was measured as tables and fits the profile to them, with the code that fits tables from elsewhere: so
/// a table that is sent on gives the same profile. The factors of the largest group's overlap go into the profile.
///
/// Throws Error where a file cannot be written, or too little was measured for any curve
GpuCalibrated CalibrateFrom(const executor::cuda::GpuTimings& timings, const GpuCalibration& asked);

/// The same as text: device, clocks, launch floor, curves, links.
std::string Print(const executor::cuda::GpuTimings& timings, const GpuCalibrated& calibrated);

}  // namespace isochrone::cli
