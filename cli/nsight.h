#pragma once

#include <string>

#include "study/traces/kernel_trace.h"

namespace isochrone::cli {

/// What Nsight Systems exports with `nsys export --type sqlite`: kernels, copies and fills of the device, tied to the
/// runtime calls that launched them; NVTX ranges as ranges. Tables that a recording did not fill may be absent.
///
/// Throws Error for what is no such file, or holds no kernel.
study::KernelTrace ReadNsight(const std::string& path);

/// By what the file begins with: Nsight's SQLite, JSON of PyTorch's profiler, or a table of kernels.
study::KernelTrace ReadKernelTrace(const std::string& path);

}  // namespace isochrone::cli
