#include "kernels/softmax.h"

#include <algorithm>
#include <limits>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void MaskedSoftmax(Index batch, Index queries, Index keys, Compute<T> scale, AttentionMask mask,
                                  const T* x, T* out) {
  using C = Compute<T>;
  for (Index r = 0; r < batch * queries; ++r) {
    const T* row = x + r * keys;
    T* out_row = out + r * keys;
    const Index first = mask.First(r % queries, keys), last = mask.Last(r % queries, keys);
    C max = -std::numeric_limits<C>::infinity();
    ISO_SIMD_MAX(max)
    for (Index j = first; j < last; ++j) max = Larger(max, scale * C(row[j]));
    C sum = 0;
    ISO_SIMD_SUM(sum)
    for (Index j = first; j < last; ++j) {
      const C e = Exp(scale * C(row[j]) - max);
      sum += e;
      Put(out_row[j], e);
    }
    const C inverse = 1 / sum;
    ISO_SIMD
    for (Index j = first; j < last; ++j) Put(out_row[j], C(out_row[j]) * inverse);
    std::fill(out_row, out_row + first, T(0));
    std::fill(out_row + last, out_row + keys, T(0));
  }
}

template <class T>
ISO_VECTORISED void MaskedSoftmaxBackward(Index batch, Index queries, Index keys, Compute<T> scale, const T* out,
                                          const T* dout, T* dx) {
  using C = Compute<T>;
  for (Index r = 0; r < batch * queries; ++r) {
    const T *p = out + r * keys, *dp = dout + r * keys;
    T* d = dx + r * keys;
    C dot = 0;
    ISO_SIMD_SUM(dot)
    for (Index j = 0; j < keys; ++j) dot += C(p[j]) * C(dp[j]);
    ISO_SIMD
    for (Index j = 0; j < keys; ++j) Put(d[j], scale * C(p[j]) * (C(dp[j]) - dot));
  }
}

#define ISO_SOFTMAX(T)                                                                          \
  template void MaskedSoftmax<T>(Index, Index, Index, Compute<T>, AttentionMask, const T*, T*); \
  template void MaskedSoftmaxBackward<T>(Index, Index, Index, Compute<T>, const T*, const T*, T*);
ISO_FOR_STORAGE(ISO_SOFTMAX)

}  // namespace isochrone::kernels
