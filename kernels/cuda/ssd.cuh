#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/ssd.h"

// Contract: kernels/ssd.h (forward). Three launches: what each chunk adds to the state, the states passed from chunk to
// chunk, and the outputs. L[i] is the sum of dt a up to and with position i of the chunk.

namespace isochrone::kernels::cuda {

constexpr int kSsdThreads = 128, kSsdChunk = 256, kSsdRows = 8;

/// Where one chunk of one head begins: grid (chunks, A, B).
struct SsdPlace {
  Index n, token, head, bc, state;  // positions; first position; head; element of b and c; state before the chunk
};
__device__ __forceinline__ SsdPlace PlaceOf(const SsdShape& s, Index chunk, Index head, Index batch) {
  const Index first = chunk * s.chunk, chunks = (s.positions + s.chunk - 1) / s.chunk;
  const Index n = s.positions - first < s.chunk ? s.positions - first : s.chunk;
  const Index token = batch * s.positions + first, group = head / (s.heads / s.groups);
  return {n, token, head, token * s.bc_pitch + group * s.states,
          ((batch * s.heads + head) * (chunks + 1) + chunk) * s.states * s.head_size};
}

/// dt and L of the chunk, to shared memory, by the first warp; a barrier ends it.
template <class Array>
__device__ __forceinline__ void SumDecay(const SsdShape& s, const SsdPlace& at, const float* dt, float a, Array& step,
                                         Array& sum) {
  if (threadIdx.x < kWarp) {
    const int lane = static_cast<int>(threadIdx.x);
    float before = 0;
    for (Index first = 0; first < at.n; first += kWarp) {
      const Index i = first + lane;
      const float mine = i < at.n ? dt[(at.token + i) * s.heads + at.head] : 0.0f;
      float total = mine * a;
#pragma unroll
      for (int by = 1; by < kWarp; by *= 2) {
        const float lower = __shfl_up_sync(kAllLanes, total, by);
        if (lane >= by) total += lower;
      }
      if (i < at.n) {
        step[i] = mine;
        sum[i] = before + total;
      }
      before += __shfl_sync(kAllLanes, total, kWarp - 1);
    }
  }
  __syncthreads();
}

/// state after the chunk, from this chunk alone: sum_j e^(L[n-1] - L[j]) dt[j] b[j] x[j]^T. Written to the slot after.
template <class T>
__global__ void __launch_bounds__(kSsdThreads)
    SsdChunkStateKernel(SsdShape s, const T* x, const float* dt, const float* a, const T* b, float* state) {
  ISO_SHARED(float, step, kSsdChunk);
  ISO_SHARED(float, sum, kSsdChunk);
  const SsdPlace at = PlaceOf(s, blockIdx.x, blockIdx.y, blockIdx.z);
  SumDecay(s, at, dt, a[at.head], step, sum);
  const float last = sum[at.n - 1];
  const Index size = s.states * s.head_size;
  for (Index i = threadIdx.x; i < size; i += kSsdThreads) {
    const Index m = i / s.head_size, p = i % s.head_size;
    float total = 0;
    for (Index j = 0; j < at.n; ++j)
      total += expf(last - sum[j]) * step[j] * ToFloat(b[at.bc + j * s.bc_pitch + m]) *
               ToFloat(x[(at.token + j) * s.x_pitch + at.head * s.head_size + p]);
    state[at.state + size + i] = total;
  }
}

/// state[c + 1] += e^(L[n-1]) state[c], from the first chunk on: grid (parts of the state, A, B).
inline __global__ void __launch_bounds__(kSsdThreads)
    SsdPassStatesKernel(SsdShape s, const float* dt, const float* a, const float* initial, float* state) {
  const Index head = blockIdx.y, batch = blockIdx.z, size = s.states * s.head_size;
  const Index chunks = (s.positions + s.chunk - 1) / s.chunk;
  const Index i = Index{blockIdx.x} * kSsdThreads + threadIdx.x;
  const bool inside = i < size;
  float* slot = state + (batch * s.heads + head) * (chunks + 1) * size + i;
  float value = inside && initial != nullptr ? initial[(batch * s.heads + head) * size + i] : 0.0f;
  if (inside) *slot = value;
  for (Index chunk = 0; chunk < chunks; ++chunk) {
    const SsdPlace at = PlaceOf(s, chunk, head, batch);
    float sum = 0;
    for (Index j = threadIdx.x; j < at.n; j += kSsdThreads) sum += dt[(at.token + j) * s.heads + head];
    sum = OverBlock(sum, Plus());
    slot += size;
    if (inside) *slot = value = *slot + expf(sum * a[head]) * value;
  }
}

/// out[i] = skip x[i] + sum_(j <= i) (c[i] . b[j]) e^(L[i] - L[j]) dt[j] x[j] + e^L[i] c[i]^T state_before
template <class T>
__global__ void __launch_bounds__(kSsdThreads)
    SsdOutputKernel(SsdShape s, const T* x, const float* dt, const float* a, const T* b, const T* c, const float* skip,
                    const float* state, T* out) {
  ISO_SHARED(float, step, kSsdChunk);
  ISO_SHARED(float, sum, kSsdChunk);
  ISO_SHARED(float, mix, kSsdRows* kSsdChunk);
  const SsdPlace at = PlaceOf(s, blockIdx.x, blockIdx.y, blockIdx.z);
  SumDecay(s, at, dt, a[at.head], step, sum);
  const Index x_base = at.token * s.x_pitch + at.head * s.head_size;
  for (Index first = 0; first < at.n; first += kSsdRows) {
    const Index rows = at.n - first < kSsdRows ? at.n - first : kSsdRows;
    __syncthreads();  // the last rows have been used
    for (Index e = threadIdx.x; e < rows * kSsdChunk; e += kSsdThreads) {
      const Index i = first + e / kSsdChunk, j = e % kSsdChunk;
      if (j > i) continue;
      float dot = 0;
      for (Index m = 0; m < s.states; ++m)
        dot += ToFloat(c[at.bc + i * s.bc_pitch + m]) * ToFloat(b[at.bc + j * s.bc_pitch + m]);
      mix[e] = dot * expf(sum[i] - sum[j]) * step[j];
    }
    __syncthreads();
    for (Index e = threadIdx.x; e < rows * s.head_size; e += kSsdThreads) {
      const Index r = e / s.head_size, p = e % s.head_size, i = first + r;
      float total = skip[at.head] * ToFloat(x[x_base + i * s.x_pitch + p]);
      for (Index j = 0; j <= i; ++j) total += mix[r * kSsdChunk + j] * ToFloat(x[x_base + j * s.x_pitch + p]);
      float kept = 0;
      for (Index m = 0; m < s.states; ++m)
        kept += ToFloat(c[at.bc + i * s.bc_pitch + m]) * state[at.state + m * s.head_size + p];
      Store(out[((at.token + i) * s.heads + at.head) * s.head_size + p], total + expf(sum[i]) * kept);
    }
  }
}

}  // namespace isochrone::kernels::cuda
