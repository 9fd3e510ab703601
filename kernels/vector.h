#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

///   out[i] = a[i] + b[i];  out may be a or b. The residual connection.
template <class T>
void Add(Index n, const T* a, const T* b, T* out);

///   y[i] += alpha x[i]
template <class T>
void Axpy(Index n, Compute<T> alpha, const T* x, T* y);

///   x[i] *= alpha
template <class T>
void Scale(Index n, Compute<T> alpha, T* x);

///   sum_i x[i]^2, summed in double
template <class T>
double SquaredNorm(Index n, const T* x);

/// The factor that brings a gradient of norm `norm` down to `max_norm`.
///
///   min(1, max_norm / (norm + 1e-6));  1 if max_norm is 0 (no clipping); NaN if norm is
///
/// Source  Pascanu, Mikolov & Bengio, arXiv:1211.5063, algorithm 1; the 1e-6 as in PyTorch's clip_grad_norm_.
double ClipFactor(double norm, double max_norm);

///   to[i] = from[i], rounded to the type of `to`; between any two storage types
template <class From, class To>
void Cast(Index n, const From* from, To* to);

}  // namespace isochrone::kernels
