#include "kernels/layer_norm.h"

#include <cmath>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void LayerNorm(Index tokens, Index hidden, Compute<T> epsilon, const T* x, const T* weight,
                              const T* bias, T* out, Compute<T>* mean, Compute<T>* rstd) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T* row = x + t * hidden;
    T* out_row = out + t * hidden;
    C sum = 0;
    ISO_SIMD_SUM(sum)
    for (Index c = 0; c < hidden; ++c) sum += C(row[c]);
    const C center = sum / C(hidden);
    C squares = 0;
    ISO_SIMD_SUM(squares)
    for (Index c = 0; c < hidden; ++c) squares += (C(row[c]) - center) * (C(row[c]) - center);
    const C scale = 1 / std::sqrt(squares / C(hidden) + epsilon);
    ISO_SIMD
    for (Index c = 0; c < hidden; ++c) Put(out_row[c], (C(row[c]) - center) * scale * C(weight[c]) + C(bias[c]));
    mean[t] = center;
    rstd[t] = scale;
  }
}

template <class T>
ISO_VECTORISED void LayerNormBackward(Index tokens, Index hidden, const T* x, const T* weight, const Compute<T>* mean,
                                      const Compute<T>* rstd, const T* dout, T* dx, Compute<T>* dweight,
                                      Compute<T>* dbias) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T *row = x + t * hidden, *dout_row = dout + t * hidden;
    T* dx_row = dx + t * hidden;
    const C center = mean[t], scale = rstd[t];
    C sum_g = 0, sum_gz = 0;
    ISO_SIMD_SUM(sum_g, sum_gz)
    for (Index c = 0; c < hidden; ++c) {
      const C d = C(dout_row[c]), z = (C(row[c]) - center) * scale, g = d * C(weight[c]);
      sum_g += g;
      sum_gz += g * z;
      dweight[c] += d * z;
      dbias[c] += d;
    }
    const C mean_g = sum_g / C(hidden), mean_gz = sum_gz / C(hidden);
    ISO_SIMD
    for (Index c = 0; c < hidden; ++c) {
      const C z = (C(row[c]) - center) * scale, g = C(dout_row[c]) * C(weight[c]);
      Put(dx_row[c], scale * (g - mean_g - z * mean_gz));
    }
  }
}

#define ISO_LAYER_NORM(T)                                                                                              \
  template void LayerNorm<T>(Index, Index, Compute<T>, const T*, const T*, const T*, T*, Compute<T>*, Compute<T>*);    \
  template void LayerNormBackward<T>(Index, Index, const T*, const T*, const Compute<T>*, const Compute<T>*, const T*, \
                                     T*, Compute<T>*, Compute<T>*);
ISO_FOR_STORAGE(ISO_LAYER_NORM)

}  // namespace isochrone::kernels
