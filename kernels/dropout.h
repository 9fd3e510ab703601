#pragma once

#include <cstdint>

#include "kernels/shard.h"
#include "kernels/types.h"

namespace isochrone::kernels {

/// Bias, dropout and residual in one pass.
///
///   out = residual + keep (x + bias) / (1 - rate),  keep[i] = [RandomWords(seed, stream)[i] >= rate 2^32]
///
/// i              index of the element in the whole array (see Shard), so that equal weights, seeds and steps drop the
///                same elements at any sharding, and the backward pass draws the mask again
/// x, out         (rows, columns) of the shard; out may be x or residual
/// bias           (columns) or null;  residual  as x, or null
/// rate           0 <= rate < 1
/// Source  Srivastava et al., "Dropout", JMLR 15, 2014 (scaled while training).
template <class T>
void Dropout(std::uint64_t seed, std::uint64_t stream, const Shard& shard, double rate, const T* x, const T* bias,
             const T* residual, T* out);

///   dx = keep dout / (1 - rate);  the gradient of residual is dout, that of bias is the column sum of dx
///
/// dx  may be dout
template <class T>
void DropoutBackward(std::uint64_t seed, std::uint64_t stream, const Shard& shard, double rate, const T* dout, T* dx);

}  // namespace isochrone::kernels
