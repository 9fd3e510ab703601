#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Extents of a state-space-dual scan: A heads of size D with N states each; heads share B and C in `groups`.
///
/// x      (B, S, A, D)       x_pitch elements between positions
/// b, c   (B, S, groups, N)  bc_pitch elements between positions
/// dt     (B, S, A)          dense, positive
/// chunk  positions that are computed by matrix products; the result does not depend on it, beyond rounding
struct SsdShape {
  Index batch = 1;
  Index positions = 0;
  Index heads = 1;
  Index head_size = 0;
  Index groups = 1;
  Index states = 0;
  Index chunk = 64;
  Index x_pitch = 0;
  Index bc_pitch = 0;

  Index Chunks() const { return (positions + chunk - 1) / chunk; }
};

/// Mamba-2's scan, in chunks.
///
///   state[s] = e^(dt[s] a) state[s-1] + dt[s] b[s] x[s]^T     (N, D), for every head
///   out[s]   = c[s]^T state[s] + skip x[s]
///
/// a, skip    (A)                      a < 0
/// initial    (B, A, N, D)             the state before the first position, or null for 0
/// out        (B, S, A, D)             dense
/// state      (B, A, Chunks()+1, N, D) before each chunk and, last, after all; kept for the backward pass
/// workspace  SsdWorkspace(shape) elements
/// Types      float, double
/// Source     Dao & Gu, "Transformers are SSMs", arXiv:2405.21060, section 6 and listing 1.
template <class T>
void SsdScan(const SsdShape& shape, const T* x, const T* dt, const T* a, const T* b, const T* c, const T* skip,
             const T* initial, T* out, T* state, T* workspace);

/// Where SsdScanBackward puts its results. x, b and c have the pitches of their inputs; a and skip are added to, as
/// gradients of parameters, all others written; `initial` may be null.
template <class T>
struct SsdGradients {
  T *x, *dt, *a, *b, *c, *skip, *initial;
};

/// Gradient of SsdScan.
///
/// state   as SsdScan left it
/// dfinal  (B, A, N, D)  gradient of the state after the last position, or null for 0
template <class T>
void SsdScanBackward(const SsdShape& shape, const T* x, const T* dt, const T* a, const T* b, const T* c, const T* skip,
                     const T* state, const T* dout, const T* dfinal, const SsdGradients<T>& gradients, T* workspace);

Index SsdWorkspace(const SsdShape& shape);

}  // namespace isochrone::kernels
