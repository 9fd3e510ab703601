#pragma once

#include <algorithm>

#include "executor/cuda/device_memory.h"
#include "executor/routing.h"

namespace isochrone::executor::cuda {

/// The routing of one microbatch, with what kernels read of it on the device.
struct DeviceRouting {
  Routing on_host;
  DeviceMemory::Handle chosen;     // (T', k)
  DeviceMemory::Handle row_of;     // (T' k)
  DeviceMemory::Handle sorted_at;  // [row as it lies after the gather]: where it lies once sorted by expert
  DeviceMemory::Handle itself;     // [row]: 0, 1, 2, …

  Index Assignments() const { return static_cast<Index>(on_host.row_of.size()); }
  Index Tokens() const { return Assignments() / on_host.topk; }
};

}  // namespace isochrone::executor::cuda
