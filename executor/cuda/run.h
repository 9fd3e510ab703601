#pragma once

#include <optional>

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

/// Why no GPU can be used here; empty if one can.
std::string WhyNoGpu();

}  // namespace isochrone::executor::cuda
