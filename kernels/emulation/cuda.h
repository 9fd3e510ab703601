#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/emulation/grid.h"

// CUDA's names for g++, so that a .cuh is compiled as it stands. Included by kernels/cuda/device.cuh alone.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

/// A shared array of a block: checked indices, and every bit set when a block begins, so that what was not written
/// reads as NaN.
#define ISO_SHARED(type, name, count) static thread_local ::isochrone::kernels::emulation::Shared<type, count> name
#define ISO_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::isochrone::kernels::emulation::DynamicShared())
#define ISO_LAUNCH(kernel, grid, block, shared, stream, ...) \
  (static_cast<void>(stream),                                \
   ::isochrone::kernels::emulation::Launch((grid), (block), (shared), [&] { (kernel)(__VA_ARGS__); }))

namespace isochrone::kernels::emulation {

template <class T, std::size_t N>
class Shared {
 public:
  T& operator[](std::int64_t i) {
    if (block_ != block_number) {
      std::memset(static_cast<void*>(at_), 0xff, sizeof at_);
      block_ = block_number;
    }
    if (i < 0 || i >= static_cast<std::int64_t>(N)) Fault("an index leaves a shared array", Site::current());
    return at_[i];
  }

 private:
  T at_[N];
  std::uint64_t block_ = 0;
};

inline void __syncthreads(const Site& site = Site::current()) { Barrier(site); }

inline int LaneOf() { return static_cast<int>(threadIdx.x % 32); }

inline void __syncwarp(unsigned mask = 0xffffffffu, const Site& site = Site::current()) {
  Exchange(mask, 0, LaneOf(), site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int = 32, const Site& site = Site::current()) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = Exchange(mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int = 32, const Site& site = Site::current()) {
  return __shfl_sync(mask, value, LaneOf() ^ with, 32, site);
}
/// Lanes below `by` keep their own value.
template <class T>
T __shfl_up_sync(unsigned mask, T value, int by, int = 32, const Site& site = Site::current()) {
  const int lane = LaneOf();
  return __shfl_sync(mask, value, lane < by ? lane : lane - by, 32, site);
}
inline unsigned __ballot_sync(unsigned mask, int yes, const Site& site = Site::current()) {
  return Vote(mask, yes != 0, site);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

/// Fibers take turns at meeting points only, so a plain addition is atomic.
template <class T>
T atomicAdd(T* to, T value) {
  const T before = *to;
  *to = before + value;
  return before;
}

}  // namespace isochrone::kernels::emulation
