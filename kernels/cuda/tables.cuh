#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/router.h"

// Contracts: kernels/embedding.h, kernels/permute.h. Rows are moved whole; one block per row.

namespace isochrone::kernels::cuda {

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    EmbeddingKernel(Index hidden, Index first, Index last, const TokenId* ids, const T* table, T* out) {
  const Index token = blockIdx.x, id = ids[token];
  const bool mine = id >= first && id < last;
  ForColumns<N>(hidden, [&](Index c) {
    Write<N>(out + token * hidden + c, mine ? Read<N>(table + (id - first) * hidden + c) : Same<N>(0));
  });
}

/// The block of a token adds the gradients of all tokens with its id, in their order, unless an earlier token has
/// it: no atomics, the same bits every time. Reads T^2 ids, which lie in cache: 0.3 GB at 8,192 tokens.
template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    EmbeddingBackwardKernel(Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* dout,
                            float* dtable) {
  const Index token = blockIdx.x, id = ids[token];
  if (id < first || id >= last) return;
  for (Index from = 0; from < token; from += kWarp) {  // each warp sees the same, so all threads leave together
    const Index t = from + threadIdx.x % kWarp;
    if (__ballot_sync(kAllLanes, t < token && ids[t] == id) != 0) return;
  }
  float* row = dtable + (id - first) * hidden;
  for (Index base = 0; base < hidden; base += Index{blockDim.x} * N) {
    const Index c = base + Index{threadIdx.x} * N;
    Pack<N> sum = c < hidden ? Read<N>(row + c) : Same<N>(0);
    for (Index from = token; from < tokens; from += kWarp) {
      const Index t = from + threadIdx.x % kWarp;
      const unsigned same = __ballot_sync(kAllLanes, t < tokens && ids[t] == id);
      if (c >= hidden) continue;
      for (unsigned left = same; left != 0; left &= left - 1) {
        const Index with = from + __popc((left & (~left + 1)) - 1);
        const Pack<N> d = Read<N>(dout + with * hidden + c);
#pragma unroll
        for (int i = 0; i < N; ++i) sum.at[i] += d.at[i];
      }
    }
    if (c < hidden) Write<N>(row + c, sum);
  }
}

/// x[b,s] += table[s]: rows of a table that has been moved to the first position.
template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads) AddPositionsKernel(Index positions, Index hidden, const T* table, T* x) {
  const Index row = blockIdx.x;
  ForColumns<N>(hidden, [&](Index c) {
    Pack<N> v = Read<N>(x + row * hidden + c);
    const Pack<N> p = Read<N>(table + row % positions * hidden + c);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] += p.at[i];
    Write<N>(x + row * hidden + c, v);
  });
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    AddPositionsBackwardKernel(Index batch, Index positions, Index hidden, const T* dx, float* dtable) {
  const Index s = blockIdx.x;
  ForColumns<N>(hidden, [&](Index c) {
    Pack<N> sum = Read<N>(dtable + s * hidden + c);
    for (Index b = 0; b < batch; ++b) {
      const Pack<N> d = Read<N>(dx + (b * positions + s) * hidden + c);
#pragma unroll
      for (int i = 0; i < N; ++i) sum.at[i] += d.at[i];
    }
    Write<N>(dtable + s * hidden + c, sum);
  });
}

// ---- experts ------------------------------------------------------------------------------------------------------

constexpr int kPlanThreads = 256;

/// offsets[e + 1] = assignments of expert e; offsets are zero before. One thread per assignment.
inline __global__ void CountExpertsKernel(Index assignments, const ExpertId* chosen, Index* offsets) {
  ForElements<1>(assignments, [&](Index i) {
    if (chosen[i] != kDropped)
      atomicAdd(reinterpret_cast<unsigned long long*>(offsets + chosen[i] + 1), 1ULL);  // a sum of ones has one value
  });
}

/// Running sums of offsets[1 .. experts], by one warp.
inline __global__ void SumOffsetsKernel(Index experts, Index* offsets) {
  const int lane = static_cast<int>(threadIdx.x);
  Index before = 0;
  for (Index first = 0; first < experts; first += kWarp) {
    const Index e = first + lane;
    Index sum = e < experts ? offsets[e + 1] : 0;
#pragma unroll
    for (int by = 1; by < kWarp; by *= 2) {
      const Index lower = __shfl_up_sync(kAllLanes, sum, by);
      if (lane >= by) sum += lower;
    }
    if (e < experts) offsets[e + 1] = before + sum;
    before += __shfl_sync(kAllLanes, sum, kWarp - 1);
  }
}

/// row_of for one expert's assignments, in their order; one block per expert, the last one for what was dropped.
inline __global__ void __launch_bounds__(kPlanThreads)
    AssignRowsKernel(Index assignments, Index experts, const ExpertId* chosen, const Index* offsets, Index* row_of) {
  constexpr int kWarps = kPlanThreads / kWarp;
  ISO_SHARED(unsigned, of_warp, kWarps);
  const bool dropped = static_cast<Index>(blockIdx.x) == experts;
  const ExpertId expert = dropped ? kDropped : static_cast<ExpertId>(blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  Index next = dropped ? 0 : offsets[expert];
  for (Index first = 0; first < assignments; first += kPlanThreads) {
    const Index i = first + threadIdx.x;
    const bool mine = i < assignments && chosen[i] == expert;
    const unsigned lanes = __ballot_sync(kAllLanes, mine);
    if (lane == 0) of_warp[warp] = static_cast<unsigned>(__popc(lanes));
    __syncthreads();
    unsigned before = 0, all = 0;
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) before += of_warp[w];
      all += of_warp[w];
    }
    if (mine) row_of[i] = dropped ? -1 : next + before + static_cast<unsigned>(__popc(lanes & ((1u << lane) - 1)));
    next += all;
    __syncthreads();
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    PermuteKernel(Index k, Index hidden, const Index* row_of, const T* x, T* out) {
  const Index assignment = blockIdx.x, row = row_of[assignment];
  if (row < 0) return;
  ForColumns<N>(hidden, [&](Index c) { Write<N>(out + row * hidden + c, Read<N>(x + assignment / k * hidden + c)); });
}

/// out[t] = sum_j weight[t,j] from[row_of[t k + j]]; a null weight is 1.
template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    GatherKernel(Index k, Index hidden, const Index* row_of, const float* weight, const T* from, T* out) {
  const Index token = blockIdx.x;
  ForColumns<N>(hidden, [&](Index c) {
    Pack<N> sum = Same<N>(0);
    for (Index j = 0; j < k; ++j) {
      const Index row = row_of[token * k + j];
      if (row < 0) continue;
      const Pack<N> v = Read<N>(from + row * hidden + c);
      const float w = weight != nullptr ? weight[token * k + j] : 1.0f;
#pragma unroll
      for (int i = 0; i < N; ++i) sum.at[i] += w * v.at[i];
    }
    Write<N>(out + token * hidden + c, sum);
  });
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    CombineBackwardKernel(Index k, Index hidden, const Index* row_of, const float* weight, const T* y, const T* dout,
                          T* dy, float* dweight) {
  const Index assignment = blockIdx.x, row = row_of[assignment];
  float dot = 0;
  if (row >= 0) {
    const float w = weight[assignment];
    ForColumns<N>(hidden, [&](Index c) {
      Pack<N> d = Read<N>(dout + assignment / k * hidden + c);
      const Pack<N> v = Read<N>(y + row * hidden + c);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        dot += d.at[i] * v.at[i];
        d.at[i] *= w;
      }
      Write<N>(dy + row * hidden + c, d);
    });
  }
  dot = OverBlock(dot, Plus());
  if (threadIdx.x == 0) dweight[assignment] = dot;
}

}  // namespace isochrone::kernels::cuda
