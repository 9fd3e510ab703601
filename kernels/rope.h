#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Angles of rotary position embedding.
///
///   cosine[s,i] = cos(phi), sine[s,i] = sin(phi),  phi = (first_position + s) base^(-2i / D)
///
/// cosine, sine  (S, D/2)
/// Types         float, double; the angle is computed in double.
/// Source        Su et al., "RoFormer", arXiv:2104.09864, equation 15; base 10000.
template <class C>
void RopeTable(Index first_position, Index positions, Index head_size, double base, C* cosine, C* sine);

/// Rotates pairs (x[i], x[i + D/2]) of every head by the angle of the token's position, in place.
///
///   x'[i]       = x[i] cosine[s,i] - x[i + D/2] sine[s,i]
///   x'[i + D/2] = x[i + D/2] cosine[s,i] + x[i] sine[s,i]
///
/// x  (B, S, heads, D)  with `pitch` elements between tokens, so that the queries and keys of a fused projection can
///                      be rotated where they are; D is even
template <class T>
void Rope(Index batch, Index positions, Index heads, Index head_size, Index pitch, const Compute<T>* cosine,
          const Compute<T>* sine, T* x);

/// Gradient of Rope: rotates dx back by the same angles, in place.
template <class T>
void RopeBackward(Index batch, Index positions, Index heads, Index head_size, Index pitch, const Compute<T>* cosine,
                  const Compute<T>* sine, T* dx);

}  // namespace isochrone::kernels
