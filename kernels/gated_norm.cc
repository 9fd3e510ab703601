#include "kernels/gated_norm.h"

#include <cmath>

#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

template <class T>
ISO_INLINE Compute<T> InverseDeviation(Index width, Compute<T> epsilon, const T* y, const T* gate) {
  using C = Compute<T>;
  C squares = 0;
  ISO_SIMD_SUM(squares)
  for (Index c = 0; c < width; ++c) {
    const C u = C(y[c]) * C(gate[c]) * Sigmoid(C(gate[c]));
    squares += u * u;
  }
  return 1 / std::sqrt(squares / C(width) + epsilon);
}

}  // namespace

template <class T>
ISO_VECTORISED void GatedRmsNorm(const GatedNormShape& s, Compute<T> epsilon, const T* y, const T* gate,
                                 const T* weight, T* out) {
  using C = Compute<T>;
  const Index width = s.width / s.groups;
  for (Index i = 0; i < s.tokens * s.groups; ++i) {
    const Index token = i / s.groups, first = i % s.groups * width;
    const T *row = y + token * s.width + first, *z = gate + token * s.gate_pitch + first, *w = weight + first;
    T* to = out + token * s.width + first;
    const C scale = InverseDeviation(width, epsilon, row, z);
    ISO_SIMD
    for (Index c = 0; c < width; ++c) Put(to[c], C(w[c]) * C(row[c]) * C(z[c]) * Sigmoid(C(z[c])) * scale);
  }
}

template <class T>
ISO_VECTORISED void GatedRmsNormBackward(const GatedNormShape& s, Compute<T> epsilon, const T* y, const T* gate,
                                         const T* weight, const T* dout, T* dy, T* dgate, Compute<T>* dweight) {
  using C = Compute<T>;
  const Index width = s.width / s.groups;
  for (Index i = 0; i < s.tokens * s.groups; ++i) {
    const Index token = i / s.groups, first = i % s.groups * width;
    const Index at = token * s.width + first, gate_at = token * s.gate_pitch + first;
    const T *row = y + at, *z = gate + gate_at, *d = dout + at, *w = weight + first;
    T *dy_row = dy + at, *dz = dgate + gate_at;
    C* dw = dweight + first;
    const C scale = InverseDeviation(width, epsilon, row, z);
    C dot = 0;
    ISO_SIMD_SUM(dot)
    for (Index c = 0; c < width; ++c) {
      const C normalised = C(row[c]) * C(z[c]) * Sigmoid(C(z[c])) * scale;
      dw[c] += C(d[c]) * normalised;
      dot += C(d[c]) * C(w[c]) * normalised;
    }
    const C mean = dot / C(width);
    ISO_SIMD
    for (Index c = 0; c < width; ++c) {
      const C sigmoid = Sigmoid(C(z[c])), silu = C(z[c]) * sigmoid;
      const C du = scale * (C(d[c]) * C(w[c]) - C(row[c]) * silu * scale * mean);
      Put(dy_row[c], du * silu);
      Put(dz[c], du * C(row[c]) * sigmoid * (1 + C(z[c]) * (1 - sigmoid)));
    }
  }
}

#define ISO_GATED_NORM(T)                                                                                              \
  template void GatedRmsNorm<T>(const GatedNormShape&, Compute<T>, const T*, const T*, const T*, T*);                  \
  template void GatedRmsNormBackward<T>(const GatedNormShape&, Compute<T>, const T*, const T*, const T*, const T*, T*, \
                                        T*, Compute<T>*);
ISO_FOR_STORAGE(ISO_GATED_NORM)

}  // namespace isochrone::kernels
