#pragma once

#include <functional>
#include <optional>
#include <string>

#include "executor/cuda/bench_request.h"
#include "executor/cuda/gpu_timings.h"
#include "executor/run.h"

namespace isochrone::executor::cuda {

/// Carries the plan out on GPUs: one process per GPU under torchrun, srun or mpirun (see launcher.h), or all ranks as
/// threads of this process, each with a GPU of this machine. Nothing under a launcher, except on rank 0.
///
/// Throws  Error naming what is missing (a build with CUDA, a driver, enough GPUs), what the CUDA executor does not
/// run,
///         and rank and op where a rank fails. Under a launcher other ranks end when their time-out is over, or the
///         launcher ends them.
std::optional<RunResult> RunOnGpus(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options);

/// Measures all GPUs of this machine, each with a thread: `request(gpus)` says what.
///
/// timeout_s  how long a GPU may take for one round of measurements
/// Throws     Error naming what is missing, or rank and call where one fails
GpuTimings MeasureGpus(const std::function<BenchRequest(int gpus)>& request, double timeout_s);

/// GPUs of this machine that can be used; 0 where WhyNoGpu says why.
int GpuCount();

/// What CUDA calls the first of them. Throws Error where there is none.
std::string GpuName();

/// Why no GPU can be used here; empty if one can.
std::string WhyNoGpu();

}  // namespace isochrone::executor::cuda
