#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

namespace isochrone::kernels::emulation {

/// CUDA's dim3 and uint3.
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

/// Which thread runs first between two meeting points. A kernel that lacks a barrier gives different results in
/// different orders; a correct one the same bits.
enum class Order { kAscending, kDescending, kShuffled };
void SetOrder(Order order);

/// Runs a kernel: blocks one after another, the threads of a block as fibers that take turns at barriers and warp
/// exchanges. Dynamic shared memory ends at a page that must not be touched.
///
/// body    what every thread does; it reads threadIdx and its like
/// Throws  Error naming block, threads and lines where threads diverge at a barrier, where lanes of a mask do not meet
///         at one exchange, or where a shared array is left; whatever `body` throws
void Launch(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body);

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
inline thread_local std::uint64_t block_number = 0;  // counts all blocks that ever ran; 0: none runs

using Site = std::source_location;

/// All threads of the block meet here.
void Barrier(const Site& site);
/// The lanes of `mask` meet here; the result is the value of lane `source`, which must be one of them.
std::uint64_t Exchange(std::uint32_t mask, std::uint64_t value, int source, const Site& site);
/// The lanes of `mask` meet here; bit i of the result says what lane i gave.
std::uint32_t Vote(std::uint32_t mask, bool yes, const Site& site);
void* DynamicShared();

/// Throws Error: `what` happened in this thread at `site`.
[[noreturn]] void Fault(const char* what, const Site& site);

}  // namespace isochrone::kernels::emulation
