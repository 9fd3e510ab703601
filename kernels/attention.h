#pragma once

#include "kernels/mask.h"
#include "kernels/types.h"

namespace isochrone::kernels {

/// Where queries, keys and values lie. Query head a reads key and value head a / (heads / kv_heads) (grouped-query
/// attention, Ainslie et al., arXiv:2305.13245; kv_heads = heads is multi-head, 1 is multi-query).
///
/// q         (B, Sq, A, D)         query_pitch elements between positions, at least A D
/// k, v      (B, Sk, kv_heads, D)  key_pitch elements between positions, at least kv_heads D
/// A fused projection (T, (A + 2 kv_heads) D) is read in place: all pitches are (A + 2 kv_heads) D.
/// out       (B, Sq, A, D)         dense
struct AttentionShape {
  Index batch = 1;
  Index queries = 0;
  Index keys = 0;
  Index heads = 1;
  Index kv_heads = 1;
  Index head_size = 0;
  Index query_pitch = 0;
  Index key_pitch = 0;
};

/// Attention in tiles, without storing scores.
///
///   out[b,i,a] = sum_j p_ij v[b,j],  p_ij = e^(scale q[b,i,a] . k[b,j] - lse[b,i,a]) for visible j
///   lse[b,i,a] = log sum_j e^(scale q[b,i,a] . k[b,j])
///
/// lse        (B, Sq, A)  kept for the backward pass and for merging; -infinity (and out 0) where nothing is visible
/// workspace  AttentionWorkspace<T>(shape) elements
/// Source     Dao, "FlashAttention-2", arXiv:2307.08691, algorithm 1.
template <class T>
void Attention(const AttentionShape& shape, AttentionMask mask, Compute<T> scale, const T* q, const T* k, const T* v,
               T* out, Compute<T>* lse, Compute<T>* workspace);

/// Gradient of Attention. With dp = dout v^T and delta[i] = sum dout[i] out[i]:
///
///   dv += p^T dout,  ds = scale p (dp - delta),  dq += ds k,  dk += ds^T q
///
/// dq, dk, dv  shaped and pitched as q, k, v; added to
/// out, lse    of the whole attention: where keys were spread over ranks and merged, the merged ones, and each
///             rank's call adds its part
/// Source      as above, algorithm 2.
template <class T>
void AttentionBackward(const AttentionShape& shape, AttentionMask mask, Compute<T> scale, const T* q, const T* k,
                       const T* v, const T* out, const Compute<T>* lse, const T* dout, Compute<T>* dq, Compute<T>* dk,
                       Compute<T>* dv, Compute<T>* workspace);

/// Elements of workspace that Attention and AttentionBackward need.
template <class T>
Index AttentionWorkspace(const AttentionShape& shape);

/// Joins attention over two disjoint sets of keys, in place in the first.
///
///   lse = log(e^lse + e^other_lse),  out = e^(lse_before - lse) out + e^(other_lse - lse) other
///
/// out, other      (rows, D)  rows = B Sq A
/// lse, other_lse  (rows)     either may be -infinity
/// Source  Liu, Zaharia & Abbeel, "Ring Attention", arXiv:2310.01889, section 3.
template <class T>
void MergeAttention(Index rows, Index head_size, T* out, Compute<T>* lse, const T* other, const Compute<T>* other_lse);

}  // namespace isochrone::kernels
