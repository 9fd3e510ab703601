#pragma once

#include "kernels/types.h"

namespace isochrone::kernels {

/// Looks tokens up in one shard of the vocabulary; a sum over shards gives the whole.
///
///   out[t] = table[ids[t] - first]  if first <= ids[t] < last,  0 if not
///
/// table  (last - first, H)  rows [first, last) of the vocabulary
/// ids    (T)
/// out    (T, H)
template <class T>
void Embedding(Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* table, T* out);

///   dtable[ids[t] - first] += dout[t]  for the ids of this shard, in the order of t
template <class T>
void EmbeddingBackward(Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* dout,
                       Compute<T>* dtable);

/// Adds a learned embedding of positions.
///
///   x[b,s] += table[first_position + s]
///
/// x      (B, S, H)
/// table  (at least first_position + S, H)
template <class T>
void AddPositions(Index batch, Index positions, Index hidden, Index first_position, const T* table, T* x);

///   dtable[first_position + s] += sum_b dx[b,s]
template <class T>
void AddPositionsBackward(Index batch, Index positions, Index hidden, Index first_position, const T* dx,
                          Compute<T>* dtable);

}  // namespace isochrone::kernels
