#pragma once

#include "kernels/cuda/mask.cuh"

// Contracts: kernels/softmax.h, kernels/cross_entropy.h. One block per row.

namespace isochrone::kernels::cuda {

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    MaskedSoftmaxKernel(Index queries, Index keys, float scale, AttentionMask mask, const T* x, T* out) {
  const Index row = blockIdx.x, query = row % queries;
  const Index first = FirstKey(mask, query, keys), last = LastKey(mask, query, keys);
  const auto seen = [&](Index j) { return j >= first && j < last; };
  float largest = Larger::kNeutral;
  ForColumns<N>(keys, [&](Index j) {
    const Pack<N> v = Read<N>(x + row * keys + j);
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (seen(j + i)) largest = Larger()(largest, scale * v.at[i]);
  });
  largest = OverBlock(largest, Larger());
  float sum = 0;
  ForColumns<N>(keys, [&](Index j) {
    const Pack<N> v = Read<N>(x + row * keys + j);
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (seen(j + i)) sum += expf(scale * v.at[i] - largest);
  });
  const float inverse = 1 / OverBlock(sum, Plus());
  ForColumns<N>(keys, [&](Index j) {
    const Pack<N> v = Read<N>(x + row * keys + j);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result.at[i] = seen(j + i) ? expf(scale * v.at[i] - largest) * inverse : 0.0f;
    Write<N>(out + row * keys + j, result);
  });
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    MaskedSoftmaxBackwardKernel(Index keys, float scale, const T* out, const T* dout, T* dx) {
  const Index row = Index{blockIdx.x} * keys;
  float dot = 0;
  ForColumns<N>(keys, [&](Index j) {
    const Pack<N> p = Read<N>(out + row + j), d = Read<N>(dout + row + j);
#pragma unroll
    for (int i = 0; i < N; ++i) dot += p.at[i] * d.at[i];
  });
  dot = OverBlock(dot, Plus());
  ForColumns<N>(keys, [&](Index j) {
    const Pack<N> p = Read<N>(out + row + j), d = Read<N>(dout + row + j);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result.at[i] = scale * p.at[i] * (d.at[i] - dot);
    Write<N>(dx + row + j, result);
  });
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads) LogitMaxKernel(Index width, const T* logits, float* max) {
  const T* row = logits + Index{blockIdx.x} * width;
  float largest = Larger::kNeutral;
  ForColumns<N>(width, [&](Index c) {
    const Pack<N> v = Read<N>(row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) largest = Larger()(largest, v.at[i]);
  });
  largest = OverBlock(largest, Larger());
  if (threadIdx.x == 0) max[blockIdx.x] = largest;
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    LogitSumsKernel(Index width, Index first, const T* logits, const TokenId* targets, const float* max, float* sum,
                    float* target_logit) {
  const T* row = logits + Index{blockIdx.x} * width;
  const float most = max[blockIdx.x];
  float total = 0;
  ForColumns<N>(width, [&](Index c) {
    const Pack<N> v = Read<N>(row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) total += expf(v.at[i] - most);
  });
  total = OverBlock(total, Plus());
  if (threadIdx.x != 0) return;
  const Index target = targets[blockIdx.x] - first;
  sum[blockIdx.x] = total;
  target_logit[blockIdx.x] = target >= 0 && target < width ? ToFloat(row[target]) : 0.0f;
}

inline __global__ void CrossEntropyLossKernel(Index tokens, const float* max, const float* sum,
                                              const float* target_logit, float* loss) {
  ForElements<1>(tokens, [&](Index t) { loss[t] = logf(sum[t]) + (max[t] - target_logit[t]); });
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    CrossEntropyGradientKernel(Index width, Index first, const T* logits, const TokenId* targets, const float* max,
                               const float* sum, float weight, T* dlogits) {
  const Index row = Index{blockIdx.x} * width, target = targets[blockIdx.x] - first;
  const float most = max[blockIdx.x], factor = weight / sum[blockIdx.x];
  ForColumns<N>(width, [&](Index c) {
    Pack<N> v = Read<N>(logits + row + c);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] = factor * expf(v.at[i] - most) - (c + i == target ? weight : 0.0f);
    Write<N>(dlogits + row + c, v);
  });
}

inline __global__ void MergeLogitStatisticsKernel(Index shards, Index tokens, const float* gathered, float* merged) {
  ForElements<1>(tokens, [&](Index t) {
    float largest = gathered[t];
    for (Index r = 1; r < shards; ++r) largest = Larger()(largest, gathered[3 * r * tokens + t]);
    float sum = 0, target = 0;
    for (Index r = 0; r < shards; ++r) {
      const float* of_shard = gathered + 3 * r * tokens + t;
      sum += of_shard[tokens] * expf(of_shard[0] - largest);
      target += of_shard[2 * tokens];
    }
    merged[t] = largest;
    merged[tokens + t] = sum;
    merged[2 * tokens + t] = target;
  });
}

}  // namespace isochrone::kernels::cuda
