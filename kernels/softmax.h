#pragma once

#include "kernels/mask.h"
#include "kernels/types.h"

namespace isochrone::kernels {

/// Scaled, masked softmax over keys.
///
///   out[b,i,j] = e^(scale x[b,i,j] - max) / sum over visible j',  0 where i does not see j
///
/// x, out  (batch, queries, keys)  batch = B A usually; out may be x
/// A query that sees no key has zeros.
template <class T>
void MaskedSoftmax(Index batch, Index queries, Index keys, Compute<T> scale, AttentionMask mask, const T* x, T* out);

/// Gradient of MaskedSoftmax from its output.
///
///   dx[b,i,j] = scale out (dout - sum_j' dout out)
///
/// dx  (batch, queries, keys)  may be dout
template <class T>
void MaskedSoftmaxBackward(Index batch, Index queries, Index keys, Compute<T> scale, const T* out, const T* dout,
                           T* dx);

}  // namespace isochrone::kernels
