#include "kernels/vector.h"

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void Add(Index n, const T* a, const T* b, T* out) {
  using C = Compute<T>;
  ISO_SIMD
  for (Index i = 0; i < n; ++i) Put(out[i], C(a[i]) + C(b[i]));
}

template <class T>
ISO_VECTORISED void Axpy(Index n, Compute<T> alpha, const T* x, T* y) {
  using C = Compute<T>;
  ISO_SIMD
  for (Index i = 0; i < n; ++i) Put(y[i], C(y[i]) + alpha * C(x[i]));
}

template <class T>
ISO_VECTORISED void Scale(Index n, Compute<T> alpha, T* x) {
  using C = Compute<T>;
  ISO_SIMD
  for (Index i = 0; i < n; ++i) Put(x[i], alpha * C(x[i]));
}

template <class T>
ISO_VECTORISED double SquaredNorm(Index n, const T* x) {
  using C = Compute<T>;
  double sum = 0;
  ISO_SIMD_SUM(sum)
  for (Index i = 0; i < n; ++i) {
    const double v = C(x[i]);
    sum += v * v;
  }
  return sum;
}

double ClipFactor(double norm, double max_norm) {
  if (max_norm == 0) return 1;
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

template <class From, class To>
ISO_VECTORISED void Cast(Index n, const From* from, To* to) {
  ISO_SIMD
  for (Index i = 0; i < n; ++i) Put(to[i], Compute<To>(Compute<From>(from[i])));
}

#define ISO_VECTOR(T)                                      \
  template void Add<T>(Index, const T*, const T*, T*);     \
  template void Axpy<T>(Index, Compute<T>, const T*, T*);  \
  template void Scale<T>(Index, Compute<T>, T*);           \
  template double SquaredNorm<T>(Index, const T*);         \
  template void Cast<T, float>(Index, const T*, float*);   \
  template void Cast<T, double>(Index, const T*, double*); \
  template void Cast<T, Bf16>(Index, const T*, Bf16*);
ISO_FOR_STORAGE(ISO_VECTOR)

}  // namespace isochrone::kernels
