#pragma once

#include <cstdint>

#include "kernels/shard.h"
#include "kernels/types.h"

namespace isochrone::kernels {

/// Normal weights as a pure function of the parameter's seed and the element's index, so that they are equal at any
/// sharding. Elements 2j and 2j + 1 share one Box-Muller pair:
///
///   out[i] = mean + deviation r cos(2 pi u2)  (i even),  mean + deviation r sin(2 pi u2)  (i odd)
///   r = sqrt(-2 ln u1),  u1 = (w[2j] + 1/2) / 2^32,  u2 = w[2j+1] / 2^32,  w = RandomWords(seed, stream 0)
///
/// out     (rows, columns) of the shard; drawn in double, then rounded
/// Limits  |out - mean| <= 6.8 deviation, as u1 has 32 bits
/// Source  Box & Muller, Annals of Mathematical Statistics 29(2), 1958.
template <class T>
void InitialiseNormal(std::uint64_t seed, const Shard& shard, double mean, double deviation, T* out);

}  // namespace isochrone::kernels
