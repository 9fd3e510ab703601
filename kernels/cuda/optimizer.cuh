#pragma once

#include <cmath>

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launch.h"

// Contracts: kernels/adamw.h, kernels/vector.h (SquaredNorm, ClipFactor). Many tensors go in one launch: their table
// travels as a kernel parameter (4 KiB at most), a block finds its tensor by its first block.

namespace isochrone::kernels::cuda {

constexpr int kTableSize = 48, kTableThreads = 256;
constexpr Index kBlockElements = Index{kTableThreads} * 16;  // that a block works on

/// Up to kTableSize tensors, and the first block of each.
template <class Entry>
struct TensorTable {
  Entry entry[kTableSize];
  unsigned first_block[kTableSize + 1];
  int count = 0;
};

/// The tensor of this block, and where in it the block starts.
template <class Entry>
__device__ __forceinline__ const Entry& EntryOf(const TensorTable<Entry>& table, Index* start) {
  int which = 0;
  while (which + 1 < table.count && blockIdx.x >= table.first_block[which + 1]) ++which;
  *start = static_cast<Index>(blockIdx.x - table.first_block[which]) * kBlockElements;
  return table.entry[which];
}

/// Constants of AdamW, in the names of kernels/adamw.cc.
struct AdamWFactors {
  float keep, rate, root, beta1, rest1, beta2, rest2, epsilon;
};

__device__ __forceinline__ void UpdateOne(const AdamWFactors& f, float keep, float scale, float gradient, float& w,
                                          float& m, float& v) {
  const float g = scale * gradient;
  m = f.beta1 * m + f.rest1 * g;
  v = f.beta2 * v + f.rest2 * g * g;
  w = keep * w - f.rate * m / (sqrtf(v) * f.root + f.epsilon);
}

inline __global__ void __launch_bounds__(kTableThreads)
    AdamWKernel(TensorTable<TensorUpdate> table, AdamWFactors f, const float* gradient_scale) {
  Index start = 0;
  const TensorUpdate& t = EntryOf(table, &start);
  const float scale = *gradient_scale, keep = t.decays ? f.keep : 1.0f;
  if (!std::isfinite(scale)) return;
  const Index end = start + kBlockElements < t.n ? start + kBlockElements : t.n;
  const bool aligned = ((reinterpret_cast<std::uintptr_t>(t.gradient) | reinterpret_cast<std::uintptr_t>(t.parameter) |
                         reinterpret_cast<std::uintptr_t>(t.m) | reinterpret_cast<std::uintptr_t>(t.v)) %
                        16) == 0;
  const Index packed = aligned ? start + (end - start) / 4 * 4 : start;
  for (Index i = start + Index{threadIdx.x} * 4; i < packed; i += Index{kTableThreads} * 4) {
    const Pack<4> g = Read<4>(t.gradient + i);
    Pack<4> w = Read<4>(t.parameter + i), m = Read<4>(t.m + i), v = Read<4>(t.v + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) UpdateOne(f, keep, scale, g.at[j], w.at[j], m.at[j], v.at[j]);
    Write<4>(t.parameter + i, w);
    Write<4>(t.m + i, m);
    Write<4>(t.v + i, v);
  }
  for (Index i = packed + threadIdx.x; i < end; i += kTableThreads)
    UpdateOne(f, keep, scale, t.gradient[i], t.parameter[i], t.m[i], t.v[i]);
}

/// partial[first + block] = weight times the squares of the block's elements.
inline __global__ void __launch_bounds__(kTableThreads)
    SquaredNormKernel(TensorTable<TensorPart> table, Index first, double* partial) {
  Index start = 0;
  const TensorPart& t = EntryOf(table, &start);
  const Index end = start + kBlockElements < t.n ? start + kBlockElements : t.n;
  double sum = 0;
  for (Index i = start + threadIdx.x; i < end; i += kTableThreads) {
    const double v = t.data[i];
    sum += v * v;
  }
  sum = OverBlock(sum, Plus());
  if (threadIdx.x == 0) partial[first + blockIdx.x] = sum * t.weight;
}

/// *sum += all of partial; one block.
inline __global__ void __launch_bounds__(kTableThreads) AddPartsKernel(Index n, const double* partial, double* sum) {
  double mine = 0;
  for (Index i = threadIdx.x; i < n; i += kTableThreads) mine += partial[i];
  mine = OverBlock(mine, Plus());
  if (threadIdx.x == 0) *sum += mine;
}

inline __global__ void ClipFactorKernel(const double* squared_norm, double max_norm, float* factor) {
  const double norm = sqrt(*squared_norm), f = max_norm == 0 ? 1 : max_norm / (norm + 1e-6);
  *factor = std::isfinite(norm) ? static_cast<float>(f > 1 ? 1 : f) : nanf("");
}

inline __global__ void __launch_bounds__(kTableThreads)
    AddSumKernel(Index n, const float* x, double weight, double* total) {
  double mine = 0;
  for (Index i = threadIdx.x; i < n; i += kTableThreads) mine += static_cast<double>(x[i]);
  mine = OverBlock(mine, Plus());
  if (threadIdx.x == 0) *total += weight * mine;
}

}  // namespace isochrone::kernels::cuda
