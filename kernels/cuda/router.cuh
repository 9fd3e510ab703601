#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/router.h"

// Contracts: kernels/router.h. One warp per token.

namespace isochrone::kernels::cuda {

constexpr unsigned kRouterThreads = 128;

/// The token of this warp; past the last one where there is none.
__device__ __forceinline__ Index TokenOfWarp() { return (Index{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; }

template <class T>
__global__ void __launch_bounds__(kRouterThreads)
    RouteChosenKernel(Index tokens, Index experts, Index k, bool renormalise, const T* logits, const ExpertId* chosen,
                      float* probabilities, float* weight) {
  const Index token = TokenOfWarp();
  if (token >= tokens) return;
  const Index lane = static_cast<int>(threadIdx.x) % kWarp;
  const T* row = logits + token * experts;
  float largest = Larger::kNeutral;
  for (Index e = lane; e < experts; e += kWarp) largest = Larger()(largest, ToFloat(row[e]));
  largest = OverWarp(largest, Larger());
  float total = 0;
  for (Index e = lane; e < experts; e += kWarp) total += expf(ToFloat(row[e]) - largest);
  const float inverse = 1 / OverWarp(total, Plus());
  const auto probability = [&](Index e) { return expf(ToFloat(row[e]) - largest) * inverse; };
  for (Index e = lane; e < experts; e += kWarp) probabilities[token * experts + e] = probability(e);
  float sum = 0;
  for (Index j = lane; j < k; j += kWarp) sum += probability(chosen[token * k + j]);
  const float divisor = renormalise ? OverWarp(sum, Plus()) : 1.0f;
  for (Index j = lane; j < k; j += kWarp) weight[token * k + j] = probability(chosen[token * k + j]) / divisor;
}

template <class T>
__global__ void __launch_bounds__(kRouterThreads)
    RouteTopKBackwardKernel(Index tokens, Index experts, Index k, bool renormalise, const float* probabilities,
                            const ExpertId* chosen, const float* weight, const float* dweight, T* dlogits) {
  const Index token = TokenOfWarp();
  if (token >= tokens) return;
  const Index lane = static_cast<int>(threadIdx.x) % kWarp;
  const float* p = probabilities + token * experts;
  const ExpertId* ids = chosen + token * k;
  weight += token * k;
  dweight += token * k;
  float sum = 0, mean = 0;
  for (Index j = lane; j < k; j += kWarp) {
    sum += p[ids[j]];
    mean += dweight[j] * weight[j];
  }
  sum = renormalise ? OverWarp(sum, Plus()) : 1.0f;
  mean = renormalise ? OverWarp(mean, Plus()) : 0.0f;
  float dot = 0;
  for (Index j = lane; j < k; j += kWarp) dot += (dweight[j] - mean) / sum * p[ids[j]];
  dot = OverWarp(dot, Plus());
  for (Index e = lane; e < experts; e += kWarp) {
    float dp = 0;
    for (Index j = 0; j < k; ++j)
      if (ids[j] == e) dp = (dweight[j] - mean) / sum;
    Store(dlogits[token * experts + e], p[e] * (dp - dot));
  }
}

}  // namespace isochrone::kernels::cuda
