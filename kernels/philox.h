#pragma once

#include <array>
#include <cstdint>

#include "kernels/types.h"

namespace isochrone::kernels {

/// Philox4x32-10: 128 random bits as a pure function of a 64-bit key and a 128-bit counter.
///
/// Source  Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; reference
///         implementation and known answers: Random123 1.14.
std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Random words of a range of elements: element i is word i mod 4 of counter (i / 4, 0, stream), so any shard draws the
/// bits that the whole would.
///
///   out[j] = Philox4x32((lo(i/4), hi(i/4), lo(stream), hi(stream)), seed)[i mod 4],  i = first + j
///
/// stream  separates uses of one seed (a layer, a step)
/// first   global index of the first element, at least 0
void RandomWords(std::uint64_t seed, std::uint64_t stream, Index first, Index count, std::uint32_t* out);

}  // namespace isochrone::kernels
