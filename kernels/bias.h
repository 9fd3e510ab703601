#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

///   out[t,c] = x[t,c] + bias[c]
///
/// x, out  (T, width)  out may be x
/// bias    (width)
template <class T>
void AddBias(Index tokens, Index width, const T* x, const T* bias, T* out);

///   dbias[c] += sum_t dout[t,c]
template <class T>
void BiasGradient(Index tokens, Index width, const T* dout, Compute<T>* dbias);

}  // namespace isochrone::kernels
