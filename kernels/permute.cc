#include "kernels/permute.h"

#include <algorithm>

#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr Index kPiece = 256;  // channels that are summed at once, in the type of the arithmetic

// out[t] = sum_j weight(t, j) from[row_of[t k + j]]
template <class T, class Weight>
ISO_INLINE void Gather(Index tokens, Index k, Index hidden, const Index* row_of, Weight weight, const T* from, T* out) {
  using C = Compute<T>;
  alignas(64) C sum[kPiece];
  for (Index t = 0; t < tokens; ++t) {
    for (Index first = 0; first < hidden; first += kPiece) {
      const Index n = std::min(kPiece, hidden - first);
      std::fill_n(sum, n, C(0));
      for (Index j = 0; j < k; ++j) {
        const Index row = row_of[t * k + j];
        if (row < 0) continue;
        const T* y = from + row * hidden + first;
        const C w = weight(t * k + j);
        ISO_SIMD
        for (Index c = 0; c < n; ++c) sum[c] += w * C(y[c]);
      }
      T* x = out + t * hidden + first;
      ISO_SIMD
      for (Index c = 0; c < n; ++c) Put(x[c], sum[c]);
    }
  }
}

}  // namespace

void PlanPermutation(Index assignments, Index experts, const ExpertId* chosen, Index* offsets, Index* row_of) {
  std::fill_n(offsets, experts + 1, Index{0});
  for (Index i = 0; i < assignments; ++i)
    if (chosen[i] != kDropped) ++offsets[chosen[i] + 1];
  for (Index e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
  for (Index i = 0; i < assignments; ++i) row_of[i] = chosen[i] == kDropped ? -1 : offsets[chosen[i]]++;
  std::copy_backward(offsets, offsets + experts, offsets + experts + 1);  // each start had moved to the next one's
  offsets[0] = 0;
}

template <class T>
void Permute(Index tokens, Index k, Index hidden, const Index* row_of, const T* x, T* out) {
  for (Index i = 0; i < tokens * k; ++i)
    if (row_of[i] >= 0) std::copy_n(x + i / k * hidden, hidden, out + row_of[i] * hidden);
}

template <class T>
ISO_VECTORISED void PermuteBackward(Index tokens, Index k, Index hidden, const Index* row_of, const T* dout, T* dx) {
  Gather(
      tokens, k, hidden, row_of, [](Index) __attribute__((always_inline)) { return Compute<T>(1); }, dout, dx);
}

template <class T>
ISO_VECTORISED void Combine(Index tokens, Index k, Index hidden, const Index* row_of, const Compute<T>* weight,
                            const T* y, T* out) {
  Gather(
      tokens, k, hidden, row_of, [weight](Index i) __attribute__((always_inline)) { return weight[i]; }, y, out);
}

template <class T>
ISO_VECTORISED void CombineBackward(Index tokens, Index k, Index hidden, const Index* row_of, const Compute<T>* weight,
                                    const T* y, const T* dout, T* dy, Compute<T>* dweight) {
  using C = Compute<T>;
  for (Index i = 0; i < tokens * k; ++i) {
    dweight[i] = 0;
    if (row_of[i] < 0) continue;
    const T *d = dout + i / k * hidden, *from = y + row_of[i] * hidden;
    T* to = dy + row_of[i] * hidden;
    const C w = weight[i];
    C dot = 0;
    ISO_SIMD_SUM(dot)
    for (Index c = 0; c < hidden; ++c) {
      dot += C(d[c]) * C(from[c]);
      Put(to[c], w * C(d[c]));
    }
    dweight[i] = dot;
  }
}

#define ISO_PERMUTE(T)                                                                                           \
  template void Permute<T>(Index, Index, Index, const Index*, const T*, T*);                                     \
  template void PermuteBackward<T>(Index, Index, Index, const Index*, const T*, T*);                             \
  template void Combine<T>(Index, Index, Index, const Index*, const Compute<T>*, const T*, T*);                  \
  template void CombineBackward<T>(Index, Index, Index, const Index*, const Compute<T>*, const T*, const T*, T*, \
                                   Compute<T>*);
ISO_FOR_STORAGE(ISO_PERMUTE)

}  // namespace isochrone::kernels
