#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/mask.h"

namespace isochrone::kernels::cuda {

/// AttentionMask's First and Last, on the device.
__device__ __forceinline__ Index Clamp(Index value, Index low, Index high) {
  return value < low ? low : value > high ? high : value;
}
__device__ __forceinline__ Index FirstKey(const AttentionMask& mask, Index query, Index keys) {
  return mask.window > 0 ? Clamp(mask.first_query + query - mask.window + 1 - mask.first_key, 0, keys) : 0;
}
__device__ __forceinline__ Index LastKey(const AttentionMask& mask, Index query, Index keys) {
  return mask.causal ? Clamp(mask.first_query + query + 1 - mask.first_key, 0, keys) : keys;
}

}  // namespace isochrone::kernels::cuda
