#include "kernels/embedding.h"

#include <algorithm>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
void Embedding(Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* table, T* out) {
  for (Index t = 0; t < tokens; ++t) {
    if (ids[t] >= first && ids[t] < last) std::copy_n(table + (ids[t] - first) * hidden, hidden, out + t * hidden);
    else std::fill_n(out + t * hidden, hidden, T(0));
  }
}

template <class T>
ISO_VECTORISED void EmbeddingBackward(Index tokens, Index hidden, Index first, Index last, const TokenId* ids,
                                      const T* dout, Compute<T>* dtable) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    if (ids[t] < first || ids[t] >= last) continue;
    C* row = dtable + (ids[t] - first) * hidden;
    ISO_SIMD
    for (Index c = 0; c < hidden; ++c) row[c] += C(dout[t * hidden + c]);
  }
}

template <class T>
ISO_VECTORISED void AddPositions(Index batch, Index positions, Index hidden, Index first_position, const T* table,
                                 T* x) {
  using C = Compute<T>;
  const T* rows = table + first_position * hidden;
  for (Index b = 0; b < batch; ++b, x += positions * hidden) {
    ISO_SIMD
    for (Index i = 0; i < positions * hidden; ++i) Put(x[i], C(x[i]) + C(rows[i]));
  }
}

template <class T>
ISO_VECTORISED void AddPositionsBackward(Index batch, Index positions, Index hidden, Index first_position, const T* dx,
                                         Compute<T>* dtable) {
  using C = Compute<T>;
  C* rows = dtable + first_position * hidden;
  for (Index b = 0; b < batch; ++b, dx += positions * hidden) {
    ISO_SIMD
    for (Index i = 0; i < positions * hidden; ++i) rows[i] += C(dx[i]);
  }
}

#define ISO_EMBEDDING(T)                                                                                 \
  template void Embedding<T>(Index, Index, Index, Index, const TokenId*, const T*, T*);                  \
  template void EmbeddingBackward<T>(Index, Index, Index, Index, const TokenId*, const T*, Compute<T>*); \
  template void AddPositions<T>(Index, Index, Index, Index, const T*, T*);                               \
  template void AddPositionsBackward<T>(Index, Index, Index, Index, const T*, Compute<T>*);
ISO_FOR_STORAGE(ISO_EMBEDDING)

}  // namespace isochrone::kernels
