#pragma once

#include "kernels/cuda/device.cuh"

// Contracts: kernels/layer_norm.h, kernels/rms_norm.h, kernels/bias.h. One block per token for what is along channels,
// one column of a warp per channel for what is summed over tokens.

namespace isochrone::kernels::cuda {

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads) LayerNormKernel(Index hidden, float epsilon, const T* x, const T* weight,
                                                               const T* bias, T* out, float* mean, float* rstd) {
  const Index token = blockIdx.x;
  const T* row = x + token * hidden;
  T* out_row = out + token * hidden;
  float sum = 0;
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) sum += v.at[i];
  });
  const float center = OverBlock(sum, Plus()) / static_cast<float>(hidden);
  float squares = 0;
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) squares += (v.at[i] - center) * (v.at[i] - center);
  });
  const float scale = 1 / sqrtf(OverBlock(squares, Plus()) / static_cast<float>(hidden) + epsilon);
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c), w = Read<N>(weight + c), b = Read<N>(bias + c);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result.at[i] = (v.at[i] - center) * scale * w.at[i] + b.at[i];
    Write<N>(out_row + c, result);
  });
  if (threadIdx.x == 0) {
    mean[token] = center;
    rstd[token] = scale;
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    RmsNormKernel(Index hidden, float epsilon, const T* x, const T* weight, T* out, float* rstd) {
  const Index token = blockIdx.x;
  const T* row = x + token * hidden;
  float squares = 0;
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) squares += v.at[i] * v.at[i];
  });
  const float scale = 1 / sqrtf(OverBlock(squares, Plus()) / static_cast<float>(hidden) + epsilon);
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c), w = Read<N>(weight + c);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result.at[i] = v.at[i] * scale * w.at[i];
    Write<N>(out + token * hidden + c, result);
  });
  if (threadIdx.x == 0) rstd[token] = scale;
}

/// dx of both norms: RMS norm has no mean, and its gradient takes none from g.
template <bool kLayer, class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    NormBackwardKernel(Index hidden, const T* x, const T* weight, const float* mean, const float* rstd, const T* dout,
                       T* dx) {
  const Index token = blockIdx.x;
  const T *row = x + token * hidden, *dout_row = dout + token * hidden;
  const float scale = rstd[token], center = kLayer ? mean[token] : 0.0f;
  float sum_g = 0, sum_gz = 0;
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c), w = Read<N>(weight + c), d = Read<N>(dout_row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float g = d.at[i] * w.at[i];
      sum_g += g;
      sum_gz += g * (v.at[i] - center) * scale;
    }
  });
  const float n = static_cast<float>(hidden);
  const float mean_g = kLayer ? OverBlock(sum_g, Plus()) / n : 0.0f, mean_gz = OverBlock(sum_gz, Plus()) / n;
  ForColumns<N>(hidden, [&](Index c) {
    const Pack<N> v = Read<N>(row + c), w = Read<N>(weight + c), d = Read<N>(dout_row + c);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i)
      result.at[i] = scale * (d.at[i] * w.at[i] - mean_g - (v.at[i] - center) * scale * mean_gz);
    Write<N>(dx + token * hidden + c, result);
  });
}

// ---- sums over tokens ---------------------------------------------------------------------------------------------

constexpr int kColumnRows = 16;  // warps of a block, each with every kColumnRows-th token

/// Adds the sums of kColumnRows warps and gives them to the first. Two values a lane.
__device__ __forceinline__ void AddWarps(float a, float b, float* to_a, float* to_b, bool inside) {
  ISO_SHARED(float, sums, 2 * kColumnRows * kWarp);
  const int at = static_cast<int>(threadIdx.y) * kWarp + static_cast<int>(threadIdx.x);
  sums[at] = a;
  sums[kColumnRows * kWarp + at] = b;
  __syncthreads();
  if (threadIdx.y != 0 || !inside) return;
  float sum_a = 0, sum_b = 0;
  for (int r = 0; r < kColumnRows; ++r) {
    sum_a += sums[r * kWarp + at];
    sum_b += sums[(kColumnRows + r) * kWarp + at];
  }
  if (to_a != nullptr) *to_a += sum_a;
  if (to_b != nullptr) *to_b += sum_b;
}

/// dweight[c] += sum_t dout z, dbias[c] += sum_t dout. A block of (32, kColumnRows) threads takes 32 channels. With a
/// null rstd z is 1: the gradient of a bias alone, into dbias. A null dweight or dbias is left out.
template <class T>
__global__ void __launch_bounds__(kWarp* kColumnRows)
    ColumnSumsKernel(Index tokens, Index width, const T* x, const float* mean, const float* rstd, const T* dout,
                     float* dweight, float* dbias) {
  const Index c = Index{blockIdx.x} * kWarp + threadIdx.x;
  const bool inside = c < width;
  float weight = 0, bias = 0;
  for (Index t = threadIdx.y; inside && t < tokens; t += kColumnRows) {
    const float d = ToFloat(dout[t * width + c]);
    bias += d;
    if (rstd != nullptr) weight += d * (ToFloat(x[t * width + c]) - (mean != nullptr ? mean[t] : 0.0f)) * rstd[t];
  }
  AddWarps(weight, bias, dweight != nullptr ? dweight + c : nullptr, dbias != nullptr ? dbias + c : nullptr, inside);
}

}  // namespace isochrone::kernels::cuda
