#include "kernels/causal_conv.h"

#include <algorithm>

#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr Index kPiece = 256;  // channels that are summed at once, in the type of the arithmetic

// x of sequence b at a position that may lie before the first; null where there is nothing.
template <class T>
ISO_INLINE const T* At(const CausalConvShape& s, const T* x, const T* history, Index b, Index position) {
  if (position >= 0) return x + (b * s.positions + position) * s.pitch;
  return history ? history + (b * (s.taps - 1) + position + s.taps - 1) * s.channels : nullptr;
}

// The gradient at a position from the outputs that read it, which are at position .. position + taps - 1.
template <class T>
ISO_VECTORISED void Spread(const CausalConvShape& s, Index b, Index position, const T* weight, const T* dout, T* to) {
  using C = Compute<T>;
  alignas(64) C sum[kPiece];
  for (Index first = 0; first < s.channels; first += kPiece) {
    const Index n = std::min(kPiece, s.channels - first);
    std::fill_n(sum, n, C(0));
    for (Index j = 0; j < s.taps; ++j) {
      const Index reader = position + s.taps - 1 - j;
      if (reader < 0 || reader >= s.positions) continue;
      const T *d = dout + (b * s.positions + reader) * s.channels + first, *w = weight + j * s.channels + first;
      ISO_SIMD
      for (Index c = 0; c < n; ++c) sum[c] += C(w[c]) * C(d[c]);
    }
    ISO_SIMD
    for (Index c = 0; c < n; ++c) Put(to[first + c], sum[c]);
  }
}

}  // namespace

template <class T>
ISO_VECTORISED void CausalConv(const CausalConvShape& s, const T* x, const T* weight, const T* bias, const T* history,
                               T* out) {
  using C = Compute<T>;
  alignas(64) C sum[kPiece];
  for (Index t = 0; t < s.batch * s.positions; ++t) {
    for (Index first = 0; first < s.channels; first += kPiece) {
      const Index n = std::min(kPiece, s.channels - first);
      ISO_SIMD
      for (Index c = 0; c < n; ++c) sum[c] = C(bias[first + c]);
      for (Index j = 0; j < s.taps; ++j) {
        const T* from = At(s, x, history, t / s.positions, t % s.positions - (s.taps - 1) + j);
        if (from == nullptr) continue;
        const T* w = weight + j * s.channels;
        ISO_SIMD
        for (Index c = 0; c < n; ++c) sum[c] += C(w[first + c]) * C(from[first + c]);
      }
      T* to = out + t * s.channels + first;
      ISO_SIMD
      for (Index c = 0; c < n; ++c) Put(to[c], sum[c]);
    }
  }
}

template <class T>
ISO_VECTORISED void CausalConvBackward(const CausalConvShape& s, const T* x, const T* weight, const T* history,
                                       const T* dout, T* dx, Compute<T>* dweight, Compute<T>* dbias, T* dhistory) {
  using C = Compute<T>;
  for (Index t = 0; t < s.batch * s.positions; ++t) {
    const Index b = t / s.positions, position = t % s.positions;
    const T* d = dout + t * s.channels;
    Spread(s, b, position, weight, dout, dx + t * s.pitch);
    ISO_SIMD
    for (Index c = 0; c < s.channels; ++c) dbias[c] += C(d[c]);
    for (Index j = 0; j < s.taps; ++j) {
      const T* from = At(s, x, history, b, position - (s.taps - 1) + j);
      if (from == nullptr) continue;
      C* to = dweight + j * s.channels;
      ISO_SIMD
      for (Index c = 0; c < s.channels; ++c) to[c] += C(d[c]) * C(from[c]);
    }
  }
  if (dhistory == nullptr) return;
  for (Index i = 0; i < s.batch * (s.taps - 1); ++i)
    Spread(s, i / (s.taps - 1), i % (s.taps - 1) - (s.taps - 1), weight, dout, dhistory + i * s.channels);
}

#define ISO_CAUSAL_CONV(T)                                                                                             \
  template void CausalConv<T>(const CausalConvShape&, const T*, const T*, const T*, const T*, T*);                     \
  template void CausalConvBackward<T>(const CausalConvShape&, const T*, const T*, const T*, const T*, T*, Compute<T>*, \
                                      Compute<T>*, T*);
ISO_FOR_STORAGE(ISO_CAUSAL_CONV)

}  // namespace isochrone::kernels
