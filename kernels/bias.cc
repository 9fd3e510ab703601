#include "kernels/bias.h"

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void AddBias(Index tokens, Index width, const T* x, const T* bias, T* out) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    ISO_SIMD
    for (Index c = 0; c < width; ++c) Put(out[t * width + c], C(x[t * width + c]) + C(bias[c]));
  }
}

template <class T>
ISO_VECTORISED void BiasGradient(Index tokens, Index width, const T* dout, Compute<T>* dbias) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    ISO_SIMD
    for (Index c = 0; c < width; ++c) dbias[c] += C(dout[t * width + c]);
  }
}

#define ISO_BIAS(T)                                               \
  template void AddBias<T>(Index, Index, const T*, const T*, T*); \
  template void BiasGradient<T>(Index, Index, const T*, Compute<T>*);
ISO_FOR_STORAGE(ISO_BIAS)

}  // namespace isochrone::kernels
