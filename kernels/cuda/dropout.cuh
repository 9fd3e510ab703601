#pragma once

#include "kernels/cuda/device.cuh"

// Contracts: kernels/dropout.h, kernels/philox.h.

namespace isochrone::kernels::cuda {

struct Words {
  std::uint32_t at[4];
};

/// Philox4x32-10 of one counter; see kernels/philox.h for key and counter.
__device__ __forceinline__ Words Philox(std::uint64_t block, std::uint64_t stream, std::uint64_t seed) {
  Words w = {{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
              static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)}};
  std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * w.at[0], product1 = std::uint64_t{0xCD9E8D57} * w.at[2];
    w = {{static_cast<std::uint32_t>(product1 >> 32) ^ w.at[1] ^ key0, static_cast<std::uint32_t>(product1),
          static_cast<std::uint32_t>(product0 >> 32) ^ w.at[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return w;
}

/// Random words of N elements from global index `first`. N > 1 needs `first` to be a multiple of 4.
template <int N>
__device__ __forceinline__ void RandomWords(std::uint64_t seed, std::uint64_t sequence, Index first,
                                            std::uint32_t* words) {
  if constexpr (N == 1) {
    const Words w = Philox(static_cast<std::uint64_t>(first / 4), sequence, seed);
    const int which = static_cast<int>(first % 4);
    words[0] = which == 0 ? w.at[0] : which == 1 ? w.at[1] : which == 2 ? w.at[2] : w.at[3];
  } else {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const Words w = Philox(static_cast<std::uint64_t>((first + i) / 4), sequence, seed);
#pragma unroll
      for (int j = 0; j < 4; ++j) words[i + j] = w.at[j];
    }
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    DropoutKernel(std::uint64_t seed, std::uint64_t sequence, Index columns, Index first, Index pitch,
                  std::uint32_t threshold, float scale, const T* x, const T* bias, const T* residual, T* out) {
  const Index row = blockIdx.x;
  ForColumns<N>(columns, [&](Index c) {
    std::uint32_t words[N];
    RandomWords<N>(seed, sequence, first + row * pitch + c, words);
    Pack<N> v = Read<N>(x + row * columns + c);
    const Pack<N> b = bias != nullptr ? Read<N>(bias + c) : Same<N>(0);
    const Pack<N> r = residual != nullptr ? Read<N>(residual + row * columns + c) : Same<N>(0);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] = (words[i] >= threshold ? (v.at[i] + b.at[i]) * scale : 0.0f) + r.at[i];
    Write<N>(out + row * columns + c, v);
  });
}

}  // namespace isochrone::kernels::cuda
