#include "kernels/rms_norm.h"

#include <cmath>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void RmsNorm(Index tokens, Index hidden, Compute<T> epsilon, const T* x, const T* weight, T* out,
                            Compute<T>* rstd) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T* row = x + t * hidden;
    T* out_row = out + t * hidden;
    C squares = 0;
    ISO_SIMD_SUM(squares)
    for (Index c = 0; c < hidden; ++c) squares += C(row[c]) * C(row[c]);
    const C scale = 1 / std::sqrt(squares / C(hidden) + epsilon);
    ISO_SIMD
    for (Index c = 0; c < hidden; ++c) Put(out_row[c], C(row[c]) * scale * C(weight[c]));
    rstd[t] = scale;
  }
}

template <class T>
ISO_VECTORISED void RmsNormBackward(Index tokens, Index hidden, const T* x, const T* weight, const Compute<T>* rstd,
                                    const T* dout, T* dx, Compute<T>* dweight) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T *row = x + t * hidden, *dout_row = dout + t * hidden;
    T* dx_row = dx + t * hidden;
    const C scale = rstd[t];
    C sum_gz = 0;
    ISO_SIMD_SUM(sum_gz)
    for (Index c = 0; c < hidden; ++c) {
      const C dz = C(dout_row[c]) * C(row[c]) * scale;
      sum_gz += dz * C(weight[c]);
      dweight[c] += dz;
    }
    const C mean_gz = sum_gz / C(hidden);
    ISO_SIMD
    for (Index c = 0; c < hidden; ++c)
      Put(dx_row[c], scale * (C(dout_row[c]) * C(weight[c]) - C(row[c]) * scale * mean_gz));
  }
}

#define ISO_RMS_NORM(T)                                                                    \
  template void RmsNorm<T>(Index, Index, Compute<T>, const T*, const T*, T*, Compute<T>*); \
  template void RmsNormBackward<T>(Index, Index, const T*, const T*, const Compute<T>*, const T*, T*, Compute<T>*);
ISO_FOR_STORAGE(ISO_RMS_NORM)

}  // namespace isochrone::kernels
