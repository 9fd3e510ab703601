#pragma once

#include <memory>

#include "executor/cuda/calls.h"
#include "executor/cuda/store.h"

namespace isochrone::executor::cuda {

/// The first form of Calls: CUDA's runtime, cuBLASLt and NCCL on one device of this machine, for the calling thread.
/// Communicators find each other through `store`, which outlives the calls.
///
/// timeout_s  how long a wait for the device may last before it ends with an Error
std::unique_ptr<Calls> OpenDevice(int device, int rank, Store& store, double timeout_s);

}  // namespace isochrone::executor::cuda
