#pragma once

#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "study/predict.h"
#include "study/traces/kernel_trace.h"

namespace isochrone::study {

/// Which kernels of a trace are which ops of a plan. One kernel serves many ops (a GEMM kernel is a projection here and
/// a gradient there) and one op launches many kernels, so both are sorted into groups, and groups are compared.
///
/// kernels     regular expressions; any that is found in a kernel's name
/// within      the same on names of the ranges that enclose the launch; none: wherever it was launched
/// operations  the same on "PROGRAM OP PHASE" of a predicted op, as `isochrone predict --json` prints them
///
/// Both go to the first group that takes them.
struct KernelGroup {
  std::string name;
  std::vector<std::regex> kernels, within, operations;
};

struct KernelMap {
  std::string file;
  std::regex step;            // names the ranges that are one training step each
  int skipped_steps = 1;      // the first ones: warm-up
  int steps = 1;              // that the whole trace holds, where no range is a step
  std::optional<int> device;  // whose kernels count; needed where the trace has several
  std::vector<KernelGroup> groups;
};

/// JSON: {"step": "ProfilerStep#", "skipped_steps": 1, "steps": 1, "device": 0, "groups": [{"name": …, "kernels": […],
/// "within": […], "operations": […]}]}; all but "groups", and of a group "name", may be left out.
/// Throws Error for unknown keys and for what is no regular expression.
KernelMap ReadKernelMap(const std::string& path);

/// A predicted op over one step, by its text.
struct PredictedOperation {
  std::string text;
  double seconds = 0;
};

/// The ops of a predicted step.
std::vector<PredictedOperation> OperationsOf(const Prediction& prediction);

struct GroupTimes {
  std::string name;
  double predicted = 0, measured = 0;  // seconds a step, of all its kernels
  double kernels = 0;                  // a step
  double Difference() const { return measured - predicted; }
};

struct TraceComparison {
  int steps = 0;
  double step_seconds = 0;                                                      // the median step
  std::vector<GroupTimes> groups;                                               // largest difference first
  std::vector<std::pair<std::string, double>> other_kernels, other_operations;  // seconds a step, longest first
};

/// Sorts kernels and ops into the map's groups and adds each up over a step: the mean over the steps that count. A
/// kernel belongs to the step in which it was launched or, where no launch was recorded, started.
///
/// Throws Error where no kernel lies within the steps, or several devices' kernels do and none was chosen.
TraceComparison CompareTrace(const KernelTrace& trace, const KernelMap& map,
                             const std::vector<PredictedOperation>& predicted);

}  // namespace isochrone::study
