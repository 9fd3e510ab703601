#pragma once

#include "kernels/cuda/ssd.cuh"

// Contract: kernels/ssd.h (backward), in the names of kernels/ssd_backward.cc. Four launches: what each chunk adds to
// the gradient of the state before it, that gradient passed from the last chunk to the first, the gradients of a chunk,
// and the sums for a and skip. All gradients are float.

namespace isochrone::kernels::cuda {

template <class T>
struct SsdInputs {
  const T *x, *b, *c, *dout;
  const float *dt, *a, *skip;
};

/// sum_i e^L[i] c[i] dout[i]^T, to the slot before the chunk.
template <class T>
__global__ void __launch_bounds__(kSsdThreads, 1) SsdStateGradientKernel(SsdShape s, SsdInputs<T> in, float* dstate) {
  ISO_SHARED(float, step, kSsdChunk);
  ISO_SHARED(float, sum, kSsdChunk);
  const SsdPlace at = PlaceOf(s, blockIdx.x, blockIdx.y, blockIdx.z);
  SumDecay(s, at, in.dt, in.a[at.head], step, sum);
  const Index size = s.states * s.head_size;
  for (Index e = threadIdx.x; e < size; e += kSsdThreads) {
    const Index m = e / s.head_size, p = e % s.head_size;
    float total = 0;
    for (Index i = 0; i < at.n; ++i)
      total += expf(sum[i]) * ToFloat(in.c[at.bc + i * s.bc_pitch + m]) *
               ToFloat(in.dout[((at.token + i) * s.heads + at.head) * s.head_size + p]);
    dstate[at.state + e] = total;
  }
}

/// dstate[c] += e^(L[n-1]) dstate[c + 1], from the last chunk on: grid (parts of the state, A, B).
inline __global__ void __launch_bounds__(kSsdThreads, 1)
    SsdPassGradientsKernel(SsdShape s, const float* dt, const float* a, const float* dfinal, float* dstate,
                           float* dinitial) {
  const Index head = blockIdx.y, batch = blockIdx.z, size = s.states * s.head_size;
  const Index chunks = (s.positions + s.chunk - 1) / s.chunk, of_head = batch * s.heads + head;
  const Index i = Index{blockIdx.x} * kSsdThreads + threadIdx.x;
  const bool inside = i < size;
  float* slot = dstate + (of_head * (chunks + 1) + chunks) * size + i;
  float value = inside && dfinal != nullptr ? dfinal[of_head * size + i] : 0.0f;
  if (inside) *slot = value;
  for (Index chunk = chunks; chunk-- > 0;) {
    const SsdPlace at = PlaceOf(s, chunk, head, batch);
    float sum = 0;
    for (Index j = threadIdx.x; j < at.n; j += kSsdThreads) sum += dt[(at.token + j) * s.heads + head];
    sum = OverBlock(sum, Plus());
    slot -= size;
    if (inside) *slot = value = *slot + expf(sum * a[head]) * value;
  }
  if (inside && dinitial != nullptr) dinitial[of_head * size + i] = value;
}

/// What a block shares while it works on one chunk of one head.
struct SsdShared {
  float *step, *sum, *dsum, *ddt;   // (chunk)
  float *product, *dproduct, *mix;  // (kSsdRows, chunk): of the rows at hand
};

/// dx = skip dout + right dstate, and this thread's part of sum x dout.
template <class T>
__device__ __forceinline__ float BeginChunk(const SsdShape& s, const SsdPlace& at, const SsdInputs<T>& in,
                                            const float* after, const SsdShared& w, float* dx) {
  const float skip = in.skip[at.head], last = w.sum[at.n - 1];
  float dskip = 0;
  for (Index e = threadIdx.x; e < at.n * s.head_size; e += kSsdThreads) {
    const Index i = e / s.head_size, p = e % s.head_size, x_at = (at.token + i) * s.x_pitch + at.head * s.head_size + p;
    const float d = ToFloat(in.dout[((at.token + i) * s.heads + at.head) * s.head_size + p]);
    float right = 0;
    for (Index m = 0; m < s.states; ++m)
      right += ToFloat(in.b[at.bc + i * s.bc_pitch + m]) * after[m * s.head_size + p];
    dskip += ToFloat(in.x[x_at]) * d;
    dx[x_at] = skip * d + expf(last - w.sum[i]) * w.step[i] * right;
  }
  return dskip;
}

/// Rows [first, first + rows) of the chunk against all positions before them.
template <class T>
__device__ __forceinline__ void ChunkRows(const SsdShape& s, const SsdPlace& at, const SsdInputs<T>& in,
                                          const float* before, const SsdShared& w, Index first, Index rows,
                                          const SsdGradients<float>& g) {
  const Index D = s.head_size, N = s.states, dout_base = (at.token * s.heads + at.head) * D, pitch = s.heads * D;
  const Index x_base = at.token * s.x_pitch + at.head * D, thread = threadIdx.x;
  for (Index e = thread; e < rows * s.chunk; e += kSsdThreads) {
    const Index r = e / s.chunk, j = e % s.chunk, i = first + r, slot = r * s.chunk + j;
    float cb = 0, dot = 0;
    if (j <= i) {
      for (Index m = 0; m < N; ++m)
        cb += ToFloat(in.c[at.bc + i * s.bc_pitch + m]) * ToFloat(in.b[at.bc + j * s.bc_pitch + m]);
      for (Index p = 0; p < D; ++p)
        dot += ToFloat(in.dout[dout_base + i * pitch + p]) * ToFloat(in.x[x_base + j * s.x_pitch + p]);
    }
    const float decay = j <= i ? expf(w.sum[i] - w.sum[j]) : 0.0f, weight = j <= i ? decay * w.step[j] : 0.0f;
    w.product[slot] = cb * weight;
    w.dproduct[slot] = dot * weight;
    w.mix[slot] = dot * cb * decay;
  }
  __syncthreads();
  for (Index j = thread; j < first + rows; j += kSsdThreads) {  // columns
    float column = 0;
    for (Index r = 0; r < rows; ++r) column += w.mix[r * s.chunk + j];
    w.ddt[j] += column;
    w.dsum[j] -= column * w.step[j];
  }
  for (Index e = thread; e < (first + rows) * D; e += kSsdThreads) {
    const Index j = e / D, p = e % D;
    float total = 0;
    for (Index r = 0; r < rows; ++r)
      total += w.product[r * s.chunk + j] * ToFloat(in.dout[dout_base + (first + r) * pitch + p]);
    g.x[x_base + j * s.x_pitch + p] += total;
  }
  for (Index e = thread; e < (first + rows) * N; e += kSsdThreads) {
    const Index j = e / N, m = e % N;
    float total = 0;
    for (Index r = 0; r < rows; ++r)
      total += w.dproduct[r * s.chunk + j] * ToFloat(in.c[at.bc + (first + r) * s.bc_pitch + m]);
    g.b[at.bc + j * s.bc_pitch + m] += total;
  }
  __syncthreads();
  for (Index r = thread / kWarp; r < rows; r += kSsdThreads / kWarp) {  // rows: a warp each
    const Index i = first + r, lane = thread % kWarp;
    float row = 0, left = 0;
    for (Index j = lane; j <= i; j += kWarp) row += w.mix[r * s.chunk + j] * w.step[j];
    for (Index m = lane; m < N; m += kWarp) {
      float dleft = 0, total = 0;
      for (Index p = 0; p < D; ++p) dleft += ToFloat(in.dout[dout_base + i * pitch + p]) * before[m * D + p];
      for (Index j = 0; j <= i; ++j) total += w.dproduct[r * s.chunk + j] * ToFloat(in.b[at.bc + j * s.bc_pitch + m]);
      left += ToFloat(in.c[at.bc + i * s.bc_pitch + m]) * dleft;
      g.c[at.bc + i * s.bc_pitch + m] += total + expf(w.sum[i]) * dleft;
    }
    row = OverWarp(row, Plus());
    left = OverWarp(left, Plus());
    if (lane == 0) w.dsum[i] += row + expf(w.sum[i]) * left;
  }
  __syncthreads();
}

/// The parts through the state after the chunk; a warp for each position. Returns this thread's part of what the last
/// L gets.
template <class T>
__device__ __forceinline__ float ChunkEnd(const SsdShape& s, const SsdPlace& at, const SsdInputs<T>& in,
                                          const float* before, const float* after, const SsdShared& w, float* db) {
  const Index D = s.head_size, N = s.states, x_base = at.token * s.x_pitch + at.head * D, thread = threadIdx.x;
  const float last = w.sum[at.n - 1];
  float of_last = 0;
  for (Index i = thread / kWarp; i < at.n; i += kSsdThreads / kWarp) {
    const Index lane = thread % kWarp;
    const float until_end = expf(last - w.sum[i]), weight = until_end * w.step[i];
    float right = 0;
    for (Index m = lane; m < N; m += kWarp) {
      float dright = 0;
      for (Index p = 0; p < D; ++p) dright += ToFloat(in.x[x_base + i * s.x_pitch + p]) * after[m * D + p];
      right += ToFloat(in.b[at.bc + i * s.bc_pitch + m]) * dright;
      db[at.bc + i * s.bc_pitch + m] += weight * dright;
    }
    right = OverWarp(right, Plus());
    if (lane != 0) continue;
    w.ddt[i] += until_end * right;
    w.dsum[i] -= weight * right;
    of_last += weight * right;
  }
  for (Index e = thread; e < N * D; e += kSsdThreads) of_last += expf(last) * before[e] * after[e];
  return of_last;
}

/// Gradients of one chunk, over the heads of one group: grid (chunks, groups, B). partial: (B, chunks, A) of a, then of
/// skip.
template <class T>
__global__ void __launch_bounds__(kSsdThreads, 1)
    SsdGradientKernel(SsdShape s, SsdInputs<T> in, const float* state, const float* dstate, SsdGradients<float> g,
                      float* partial) {
  ISO_DYNAMIC_SHARED(float, shared);
  const SsdShared w{shared,
                    shared + s.chunk,
                    shared + 2 * s.chunk,
                    shared + 3 * s.chunk,
                    shared + 4 * s.chunk,
                    shared + (4 + kSsdRows) * s.chunk,
                    shared + (4 + 2 * kSsdRows) * s.chunk};
  const Index of_group = s.heads / s.groups, size = s.states * s.head_size, chunks = gridDim.x;
  for (Index head = blockIdx.y * of_group; head < (blockIdx.y + 1) * of_group; ++head) {
    const SsdPlace at = PlaceOf(s, blockIdx.x, head, blockIdx.z);
    const float *before = state + at.state, *after = dstate + at.state + size;
    SumDecay(s, at, in.dt, in.a[head], w.step, w.sum);
    for (Index i = threadIdx.x; i < at.n; i += kSsdThreads) w.dsum[i] = w.ddt[i] = 0;
    if (head == blockIdx.y * of_group) {
      for (Index e = threadIdx.x; e < at.n * s.states; e += kSsdThreads) {
        const Index slot = at.bc + e / s.states * s.bc_pitch + e % s.states;
        g.b[slot] = g.c[slot] = 0;
      }
    }
    const float dskip = OverBlock(BeginChunk(s, at, in, after, w, g.x), Plus());
    __syncthreads();
    for (Index first = 0; first < at.n; first += kSsdRows)
      ChunkRows(s, at, in, before, w, first, at.n - first < kSsdRows ? at.n - first : kSsdRows, g);
    const float of_last = OverBlock(ChunkEnd(s, at, in, before, after, w, g.b), Plus());
    __syncthreads();
    if (threadIdx.x == 0) {  // L[i] sums dt a up to i
      float later = of_last, da = 0;
      for (Index i = at.n; i-- > 0;) {
        later += w.dsum[i];
        g.dt[(at.token + i) * s.heads + head] = w.ddt[i] + later * in.a[head];
        da += later * w.step[i];
      }
      const Index slot = (blockIdx.z * chunks + blockIdx.x) * s.heads + head;
      partial[slot] = da;
      partial[gridDim.z * chunks * s.heads + slot] = dskip;
    }
    __syncthreads();
  }
}

/// da and dskip += their parts; one block a head.
inline __global__ void __launch_bounds__(kSsdThreads, 1)
    SsdAddPartsKernel(Index parts, Index heads, const float* partial, float* da, float* dskip) {
  float a = 0, skip = 0;
  for (Index i = threadIdx.x; i < parts; i += kSsdThreads) {
    a += partial[i * heads + blockIdx.x];
    skip += partial[(parts + i) * heads + blockIdx.x];
  }
  a = OverBlock(a, Plus());
  skip = OverBlock(skip, Plus());
  if (threadIdx.x != 0) return;
  da[blockIdx.x] += a;
  dskip[blockIdx.x] += skip;
}

}  // namespace isochrone::kernels::cuda
