#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "base/error.h"

namespace isochrone::kernels::cuda {

/// Throws Error with the call's text and place unless `status` says success.
inline void CheckCuda(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw Error(std::string("CUDA call ") + call,
              std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status) + " (" + file + ":" +
                  std::to_string(line) + ")",
              "nvidia-smi shows whether the driver sees the GPU and what else runs on it");
}

}  // namespace isochrone::kernels::cuda

#define ISO_CUDA(call) ::isochrone::kernels::cuda::CheckCuda((call), #call, __FILE__, __LINE__)
