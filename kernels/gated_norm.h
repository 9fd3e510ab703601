#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Extents of a gated normalisation: `groups` runs of width / groups channels, each normalised by itself.
struct GatedNormShape {
  Index tokens = 0;
  Index width = 0;
  Index groups = 1;
  Index gate_pitch = 0;  // elements between tokens of the gate, so that a slice of a projection is read in place
};

/// Root-mean-square normalisation of what a gate has scaled.
///
///   out[t,c] = weight[c] u[t,c] rstd[t,g],  u = y silu(gate),  rstd[t,g] = 1 / sqrt(mean_{c in g} u[t,c]^2 + eps)
///
/// y, out  (T, width)  dense
/// gate    (T, width)  with gate_pitch
/// weight  (width)
/// Source  Dao & Gu, "Transformers are SSMs", arXiv:2405.21060, section 7.1 (the norm before the output projection, in
///         groups so that tensor ranks need not exchange sums).
template <class T>
void GatedRmsNorm(const GatedNormShape& shape, Compute<T> epsilon, const T* y, const T* gate, const T* weight, T* out);

/// Gradient of GatedRmsNorm. dy and dgate are written, dgate with gate_pitch; dweight is added to.
template <class T>
void GatedRmsNormBackward(const GatedNormShape& shape, Compute<T> epsilon, const T* y, const T* gate, const T* weight,
                          const T* dout, T* dy, T* dgate, Compute<T>* dweight);

}  // namespace isochrone::kernels
