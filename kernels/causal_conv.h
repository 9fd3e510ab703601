#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Extents of a causal convolution.
///
/// x, dx  (B, S, channels) with `pitch` elements between positions, so that a slice of a projection is read in place
struct CausalConvShape {
  Index batch = 1;
  Index positions = 0;
  Index channels = 0;
  Index taps = 4;
  Index pitch = 0;
};

/// Convolution along positions, each channel by itself, that looks back only.
///
///   out[b,s,c] = bias[c] + sum_j weight[j,c] x[b, s - (taps-1) + j, c],  j = 0 .. taps-1
///
/// weight    (taps, channels)            tap-major, so that channels lie side by side
/// bias      (channels)
/// history   (B, taps - 1, channels)     x before the first position, dense: of the previous slice of the sequence; or
///                                       null for zeros
/// out       (B, S, channels)            dense
/// Source  Gu & Dao, "Mamba", arXiv:2312.00752, section 3.4 (the convolution of the block).
template <class T>
void CausalConv(const CausalConvShape& shape, const T* x, const T* weight, const T* bias, const T* history, T* out);

/// Gradient of CausalConv. dx is written, with the pitch of x; dweight and dbias are added to; dhistory is written, and
/// null if history is.
template <class T>
void CausalConvBackward(const CausalConvShape& shape, const T* x, const T* weight, const T* history, const T* dout,
                        T* dx, Compute<T>* dweight, Compute<T>* dbias, T* dhistory);

}  // namespace isochrone::kernels
