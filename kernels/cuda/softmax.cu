#include "kernels/cuda/softmax.cuh"

#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

template <class T>
void MaskedSoftmax(Stream stream, Index batch, Index queries, Index keys, float scale, AttentionMask mask, const T* x,
                   T* out) {
  WithVectors<T>(Fits<T>(keys, x, out), [&](auto n) {
    const auto kernel = MaskedSoftmaxKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(batch * queries), ThreadsFor(keys / n()), 0, stream, queries, keys, scale,
               mask, x, out);
  });
}

template <class T>
void MaskedSoftmaxBackward(Stream stream, Index batch, Index queries, Index keys, float scale, const T* out,
                           const T* dout, T* dx) {
  WithVectors<T>(Fits<T>(keys, out, dout, dx), [&](auto n) {
    const auto kernel = MaskedSoftmaxBackwardKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(batch * queries), ThreadsFor(keys / n()), 0, stream, keys, scale, out,
               dout, dx);
  });
}

template <class T>
void LogitMax(Stream stream, Index tokens, Index width, const T* logits, float* max) {
  WithVectors<T>(Fits<T>(width, logits), [&](auto n) {
    const auto kernel = LogitMaxKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(width / n()), 0, stream, width, logits, max);
  });
}

template <class T>
void LogitSums(Stream stream, Index tokens, Index width, Index first, const T* logits, const TokenId* targets,
               const float* max, float* sum, float* target_logit) {
  WithVectors<T>(Fits<T>(width, logits), [&](auto n) {
    const auto kernel = LogitSumsKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(width / n()), 0, stream, width, first, logits, targets,
               max, sum, target_logit);
  });
}

void CrossEntropyLoss(Stream stream, Index tokens, const float* max, const float* sum, const float* target_logit,
                      float* loss) {
  ISO_LAUNCH(CrossEntropyLossKernel, BlocksFor(tokens, 128), 128, 0, stream, tokens, max, sum, target_logit, loss);
}

template <class T>
void CrossEntropyGradient(Stream stream, Index tokens, Index width, Index first, const T* logits,
                          const TokenId* targets, const float* max, const float* sum, float weight, T* dlogits) {
  WithVectors<T>(Fits<T>(width, logits, dlogits), [&](auto n) {
    const auto kernel = CrossEntropyGradientKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(width / n()), 0, stream, width, first, logits, targets,
               max, sum, weight, dlogits);
  });
}

void MergeLogitStatistics(Stream stream, Index shards, Index tokens, const float* gathered, float* merged) {
  ISO_LAUNCH(MergeLogitStatisticsKernel, BlocksFor(tokens, 128), 128, 0, stream, shards, tokens, gathered, merged);
}

#define ISO_SOFTMAX(T)                                                                                             \
  template void MaskedSoftmax<T>(Stream, Index, Index, Index, float, AttentionMask, const T*, T*);                 \
  template void MaskedSoftmaxBackward<T>(Stream, Index, Index, Index, float, const T*, const T*, T*);              \
  template void LogitMax<T>(Stream, Index, Index, const T*, float*);                                               \
  template void LogitSums<T>(Stream, Index, Index, Index, const T*, const TokenId*, const float*, float*, float*); \
  template void CrossEntropyGradient<T>(Stream, Index, Index, Index, const T*, const TokenId*, const float*,       \
                                        const float*, float, T*);
ISO_FOR_GPU(ISO_SOFTMAX)

}  // namespace isochrone::kernels::cuda
