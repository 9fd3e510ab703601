#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Layer normalisation over channels.
///
///   out[t,c] = (x[t,c] - mean[t]) rstd[t] weight[c] + bias[c]
///   mean[t]  = mean_c x[t,c],  rstd[t] = 1 / sqrt(mean_c (x[t,c] - mean[t])^2 + epsilon)
///
/// x, out        (T, H)  out may be x
/// weight, bias  (H)
/// mean, rstd    (T)     kept for the backward pass
/// Source  Ba, Kiros & Hinton, "Layer Normalization", arXiv:1607.06450, equations 3 and 4.
template <class T>
void LayerNorm(Index tokens, Index hidden, Compute<T> epsilon, const T* x, const T* weight, const T* bias, T* out,
               Compute<T>* mean, Compute<T>* rstd);

/// Gradient of LayerNorm. With z = (x - mean) rstd and g = dout weight:
///
///   dx = rstd (g - mean_c g - z mean_c (g z)),  dweight += sum_t dout z,  dbias += sum_t dout
///
/// dx  (T, H)  may be dout
template <class T>
void LayerNormBackward(Index tokens, Index hidden, const T* x, const T* weight, const Compute<T>* mean,
                       const Compute<T>* rstd, const T* dout, T* dx, Compute<T>* dweight, Compute<T>* dbias);

}  // namespace isochrone::kernels
