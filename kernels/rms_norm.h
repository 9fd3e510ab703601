#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Root-mean-square normalisation over channels.
///
///   out[t,c] = x[t,c] weight[c] rstd[t],  rstd[t] = 1 / sqrt(mean_c x[t,c]^2 + epsilon)
///
/// x, out  (T, H)  out may be x
/// weight  (H)
/// rstd    (T)     kept for the backward pass
/// Source  Zhang & Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, equation 4.
template <class T>
void RmsNorm(Index tokens, Index hidden, Compute<T> epsilon, const T* x, const T* weight, T* out, Compute<T>* rstd);

/// Gradient of RmsNorm. With z = x rstd and g = dout weight:
///
///   dx = rstd (g - z mean_c (g z)),  dweight += sum_t dout z
///
/// dx  (T, H)  may be dout
template <class T>
void RmsNormBackward(Index tokens, Index hidden, const T* x, const T* weight, const Compute<T>* rstd, const T* dout,
                     T* dx, Compute<T>* dweight);

}  // namespace isochrone::kernels
