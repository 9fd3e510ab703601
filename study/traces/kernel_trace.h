#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace isochrone::study {

/// One piece of work of a device. Times in seconds from any common zero.
struct TracedKernel {
  std::string name;
  double start = 0, seconds = 0;
  double launched = std::numeric_limits<double>::quiet_NaN();  // by the host; NaN: not recorded
  std::int64_t thread = -1;                                    // of the host that launched it; -1: not recorded
  int device = 0;
};

/// What a host thread was inside of: an annotation of the user, a step of the profiler, an operator.
struct TracedRange {
  std::string name;
  double start = 0, end = 0;
  std::int64_t thread = -1;
};

/// What a profiler recorded of a training run.
struct KernelTrace {
  std::string file;
  std::vector<TracedKernel> kernels;
  std::vector<TracedRange> ranges;
};

/// What PyTorch's profiler exports (`export_chrome_trace`; the events are Kineto's): kernels, copies and fills of the
/// device, tied to the runtime calls that launched them by their correlation; operators and annotations as ranges. Of a
/// run without a device, an operator's own time counts as a kernel: its duration less that of the operators inside it.
///
/// Throws Error for what is no such file, or holds no kernel.
KernelTrace ReadKineto(const std::string& path);

/// A table of kernels with the columns that `nsys stats --report cuda_gpu_trace --format csv` writes: "Start (ns)",
/// "Duration (ns)", "Name" and, where there is one, "Device" (its number stands in brackets). Units ns, us, ms and s
/// are known; other columns are not looked at. Holds no ranges.
///
/// Throws Error naming file, line and column.
KernelTrace ReadKernelTable(const std::string& path);

}  // namespace isochrone::study
