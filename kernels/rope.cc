#include "kernels/rope.h"

#include <cmath>

#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

template <class T>
ISO_VECTORISED void Rotate(Index batch, Index positions, Index heads, Index head_size, Index pitch,
                           const Compute<T>* cosine, const Compute<T>* sine, Compute<T> direction, T* x) {
  using C = Compute<T>;
  const Index half = head_size / 2;
  for (Index t = 0; t < batch * positions; ++t) {
    const C *cos_row = cosine + t % positions * half, *sin_row = sine + t % positions * half;
    for (Index a = 0; a < heads; ++a) {
      T *low = x + t * pitch + a * head_size, *high = low + half;
      ISO_SIMD
      for (Index i = 0; i < half; ++i) {
        const C u = C(low[i]), v = C(high[i]), c = cos_row[i], s = direction * sin_row[i];
        Put(low[i], u * c - v * s);
        Put(high[i], v * c + u * s);
      }
    }
  }
}

}  // namespace

template <class C>
void RopeTable(Index first_position, Index positions, Index head_size, double base, C* cosine, C* sine) {
  const Index half = head_size / 2;
  for (Index i = 0; i < half; ++i) {
    const double frequency = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
    for (Index s = 0; s < positions; ++s) {
      const double phi = static_cast<double>(first_position + s) * frequency;
      cosine[s * half + i] = C(std::cos(phi));
      sine[s * half + i] = C(std::sin(phi));
    }
  }
}

template <class T>
void Rope(Index batch, Index positions, Index heads, Index head_size, Index pitch, const Compute<T>* cosine,
          const Compute<T>* sine, T* x) {
  Rotate<T>(batch, positions, heads, head_size, pitch, cosine, sine, 1, x);
}

template <class T>
void RopeBackward(Index batch, Index positions, Index heads, Index head_size, Index pitch, const Compute<T>* cosine,
                  const Compute<T>* sine, T* dx) {
  Rotate<T>(batch, positions, heads, head_size, pitch, cosine, sine, -1, dx);
}

#define ISO_ROPE_TABLE(C) template void RopeTable<C>(Index, Index, Index, double, C*, C*);
ISO_FOR_REAL(ISO_ROPE_TABLE)
#define ISO_ROPE(T)                                                                                   \
  template void Rope<T>(Index, Index, Index, Index, Index, const Compute<T>*, const Compute<T>*, T*); \
  template void RopeBackward<T>(Index, Index, Index, Index, Index, const Compute<T>*, const Compute<T>*, T*);
ISO_FOR_STORAGE(ISO_ROPE)

}  // namespace isochrone::kernels
