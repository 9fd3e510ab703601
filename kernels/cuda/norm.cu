#include "kernels/cuda/norm.cuh"

#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {
namespace {

template <class T>
void ColumnSums(Stream stream, Index tokens, Index width, const T* x, const float* mean, const float* rstd,
                const T* dout, float* dweight, float* dbias) {
  const auto kernel = ColumnSumsKernel<T>;
  ISO_LAUNCH(kernel, static_cast<unsigned>((width + kWarp - 1) / kWarp), dim3(kWarp, kColumnRows), 0, stream, tokens,
             width, x, mean, rstd, dout, dweight, dbias);
}

template <bool kLayer, class T>
void NormBackward(Stream stream, Index tokens, Index hidden, const T* x, const T* weight, const float* mean,
                  const float* rstd, const T* dout, T* dx) {
  WithVectors<T>(Fits<T>(hidden, x, weight, dout, dx), [&](auto n) {
    const auto kernel = NormBackwardKernel<kLayer, T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, hidden, x, weight, mean,
               rstd, dout, dx);
  });
}

}  // namespace

template <class T>
void LayerNorm(Stream stream, Index tokens, Index hidden, float epsilon, const T* x, const T* weight, const T* bias,
               T* out, float* mean, float* rstd) {
  WithVectors<T>(Fits<T>(hidden, x, weight, bias, out), [&](auto n) {
    const auto kernel = LayerNormKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, hidden, epsilon, x, weight,
               bias, out, mean, rstd);
  });
}

template <class T>
void LayerNormBackward(Stream stream, Index tokens, Index hidden, const T* x, const T* weight, const float* mean,
                       const float* rstd, const T* dout, T* dx, float* dweight, float* dbias) {
  ColumnSums(stream, tokens, hidden, x, mean, rstd, dout, dweight, dbias);  // before dx may replace dout
  NormBackward<true>(stream, tokens, hidden, x, weight, mean, rstd, dout, dx);
}

template <class T>
void RmsNorm(Stream stream, Index tokens, Index hidden, float epsilon, const T* x, const T* weight, T* out,
             float* rstd) {
  WithVectors<T>(Fits<T>(hidden, x, weight, out), [&](auto n) {
    const auto kernel = RmsNormKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, hidden, epsilon, x, weight,
               out, rstd);
  });
}

template <class T>
void RmsNormBackward(Stream stream, Index tokens, Index hidden, const T* x, const T* weight, const float* rstd,
                     const T* dout, T* dx, float* dweight) {
  ColumnSums<T>(stream, tokens, hidden, x, nullptr, rstd, dout, dweight, nullptr);
  NormBackward<false, T>(stream, tokens, hidden, x, weight, nullptr, rstd, dout, dx);
}

template <class T>
void BiasGradient(Stream stream, Index tokens, Index width, const T* dout, float* dbias) {
  ColumnSums<T>(stream, tokens, width, nullptr, nullptr, nullptr, dout, nullptr, dbias);
}

#define ISO_NORM(T)                                                                                                  \
  template void LayerNorm<T>(Stream, Index, Index, float, const T*, const T*, const T*, T*, float*, float*);         \
  template void LayerNormBackward<T>(Stream, Index, Index, const T*, const T*, const float*, const float*, const T*, \
                                     T*, float*, float*);                                                            \
  template void RmsNorm<T>(Stream, Index, Index, float, const T*, const T*, T*, float*);                             \
  template void RmsNormBackward<T>(Stream, Index, Index, const T*, const T*, const float*, const T*, T*, float*);    \
  template void BiasGradient<T>(Stream, Index, Index, const T*, float*);
ISO_FOR_GPU(ISO_NORM)

}  // namespace isochrone::kernels::cuda
