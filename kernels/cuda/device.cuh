#pragma once

// What all kernels share: storage types, 16-byte accesses, sums over warps and blocks, launches.

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/error.h"
#define ISO_SHARED(type, name, count) __shared__ type name[count]
#define ISO_DYNAMIC_SHARED(type, name)                            \
  extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(dynamic_shared)
#define ISO_LAUNCH(kernel, grid, block, shared, stream, ...)        \
  do {                                                              \
    (kernel)<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__); \
    ISO_CUDA(cudaPeekAtLastError());                                \
  } while (false)
#else
#include "kernels/emulation/cuda.h"
#endif

#include <cstdint>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/fp16.h"
#include "kernels/types.h"

#ifndef __CUDACC__
namespace isochrone::kernels::cuda {
using namespace emulation;  // threadIdx, __syncthreads, …
}
#endif

namespace isochrone::kernels::cuda {

constexpr int kWarp = 32, kMaxThreads = 512;
constexpr unsigned kAllLanes = 0xffffffffu;

// ---- storage ------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ void Store(float& to, float x) { to = x; }
#ifdef __CUDACC__
__device__ __forceinline__ float ToFloat(Bf16 x) { return __bfloat162float(__ushort_as_bfloat16(x.bits)); }
__device__ __forceinline__ float ToFloat(Fp16 x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ __forceinline__ void Store(Bf16& to, float x) { to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
__device__ __forceinline__ void Store(Fp16& to, float x) { to.bits = __half_as_ushort(__float2half_rn(x)); }
#else
inline float ToFloat(Bf16 x) { return float(x); }
inline float ToFloat(Fp16 x) { return float(x); }
inline void Store(Bf16& to, float x) { to = Bf16(x); }
inline void Store(Fp16& to, float x) { to = Fp16(x); }
#endif

/// N neighbours, in the type of the arithmetic.
template <int N>
struct Pack {
  float at[N];
};

/// Elements of T in one access.
template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

struct alignas(16) Access {
  std::uint32_t word[4];
};

#ifdef __CUDACC__
__device__ __forceinline__ Access ReadAccess(const void* from) {
  const uint4 v = *static_cast<const uint4*>(from);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ __forceinline__ void WriteAccess(void* to, const Access& a) {
  *static_cast<uint4*>(to) = make_uint4(a.word[0], a.word[1], a.word[2], a.word[3]);
}
#else
inline void CheckAligned(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) Fault("an access of 16 bytes is not aligned", Site::current());
}
inline Access ReadAccess(const void* from) {
  CheckAligned(from);
  Access a;
  std::memcpy(&a, from, sizeof a);
  return a;
}
inline void WriteAccess(void* to, const Access& a) {
  CheckAligned(to);
  std::memcpy(to, &a, sizeof a);
}
#endif

/// N elements from `from`: by 16 bytes where N > 1, which needs alignment.
template <int N, class T>
__device__ __forceinline__ Pack<N> Read(const T* from) {
  Pack<N> pack;
  if constexpr (N == 1) {
    pack.at[0] = ToFloat(*from);
  } else {
    constexpr int kEach = kVector<T>;
    static_assert(N % kEach == 0);
#pragma unroll
    for (int i = 0; i < N / kEach; ++i) {
      const Access access = ReadAccess(from + i * kEach);
      T part[kEach];
      memcpy(part, &access, sizeof access);
#pragma unroll
      for (int j = 0; j < kEach; ++j) pack.at[i * kEach + j] = ToFloat(part[j]);
    }
  }
  return pack;
}

template <int N, class T>
__device__ __forceinline__ void Write(T* to, const Pack<N>& pack) {
  if constexpr (N == 1) {
    Store(*to, pack.at[0]);
  } else {
    constexpr int kEach = kVector<T>;
    static_assert(N % kEach == 0);
#pragma unroll
    for (int i = 0; i < N / kEach; ++i) {
      T part[kEach];
#pragma unroll
      for (int j = 0; j < kEach; ++j) Store(part[j], pack.at[i * kEach + j]);
      Access access;
      memcpy(&access, part, sizeof access);
      WriteAccess(to + i * kEach, access);
    }
  }
}

template <int N>
__device__ __forceinline__ Pack<N> Same(float value) {
  Pack<N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.at[i] = value;
  return pack;
}

// ---- sums ---------------------------------------------------------------------------------------------------------

struct Plus {
  template <class V>
  __device__ __forceinline__ V operator()(V a, V b) const {
    return a + b;
  }
  static constexpr float kNeutral = 0;
};
/// The larger; a if b is NaN, as the CPU twin.
struct Larger {
  __device__ __forceinline__ float operator()(float a, float b) const { return a < b ? b : a; }
  static constexpr float kNeutral = -__builtin_huge_valf();
};

/// Every lane gets the result.
template <class V, class Op>
__device__ __forceinline__ V OverWarp(V value, Op op) {
#pragma unroll
  for (int with = kWarp / 2; with > 0; with /= 2) value = op(value, __shfl_xor_sync(kAllLanes, value, with));
  return value;
}

/// Every thread gets the result. All threads of the block call it; there are whole warps, along x.
template <class V, class Op>
__device__ __forceinline__ V OverBlock(V value, Op op) {
  value = OverWarp(value, op);
  if (blockDim.x <= kWarp) return value;
  ISO_SHARED(V, partial, kWarp);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  __syncthreads();  // the last result has been read
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x) / kWarp ? partial[lane] : static_cast<V>(Op::kNeutral);
  return OverWarp(value, op);
}

// ---- loops and launches -------------------------------------------------------------------------------------------

/// body(c) for every N-th column c of a row that the block shares.
template <int N, class Body>
__device__ __forceinline__ void ForColumns(Index width, Body body) {
  for (Index c = Index{threadIdx.x} * N; c < width; c += Index{blockDim.x} * N) body(c);
}

/// body(i) for every N-th element i of n that the grid shares.
template <int N, class Body>
__device__ __forceinline__ void ForElements(Index n, Body body) {
  const Index step = Index{gridDim.x} * blockDim.x * N;
  for (Index i = (Index{blockIdx.x} * blockDim.x + threadIdx.x) * N; i < n; i += step) body(i);
}

/// Whole warps for a row of `items`, at most kMaxThreads.
inline unsigned ThreadsFor(Index items) {
  unsigned threads = kWarp;
  while (threads < kMaxThreads && static_cast<Index>(threads) < items) threads *= 2;
  return threads;
}
/// Blocks of `threads` for n items, at most as many as keep the largest GPU busy; loops do the rest.
inline unsigned BlocksFor(Index items, unsigned threads) {
  const Index blocks = (items + threads - 1) / threads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > 4096 ? 4096 : blocks);
}

/// Whether rows of `width` elements of T can be read 16 bytes at a time from all the pointers (null ones count not).
template <class T, class... P>
bool Fits(Index width, const P*... pointers) {
  return width % kVector<T> == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

/// body(integral_constant N) with N elements in an access.
template <class T, class Body>
void WithVectors(bool fits, Body body) {
  if (fits) body(std::integral_constant<int, kVector<T>>());
  else body(std::integral_constant<int, 1>());
}

/// Explicit instantiation for the storage types of a GPU; `F` is a macro taking the type.
#define ISO_FOR_GPU(F) F(float) F(Bf16) F(Fp16)

}  // namespace isochrone::kernels::cuda
