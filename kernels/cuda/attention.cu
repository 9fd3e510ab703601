#include "kernels/cuda/attention.cuh"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {
namespace {

/// body(integral_constant D) with the smallest D of 32, 64, 128, 256 that holds a head.
template <class Body>
void WithHeadSize(Index head_size, Body body) {
  if (head_size <= 32) return body(std::integral_constant<int, 32>());
  if (head_size <= 64) return body(std::integral_constant<int, 64>());
  if (head_size <= 128) return body(std::integral_constant<int, 128>());
  if (head_size <= 256) return body(std::integral_constant<int, 256>());
  throw Error("attention", "head size " + std::to_string(head_size) + " is more than its kernel holds",
              "use heads of at most 256, or unfused attention");
}

/// Lets a kernel use more than the 48 KiB of shared memory that it has without asking.
template <class Kernel>
void AllowShared([[maybe_unused]] Kernel kernel, [[maybe_unused]] int bytes) {
#ifdef __CUDACC__
  ISO_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
#endif
}

template <class T, class... P>
bool RowsFit(const AttentionShape& s, const P*... pointers) {
  return Fits<T>(s.head_size, pointers...) && s.query_pitch % kVector<T> == 0 && s.key_pitch % kVector<T> == 0;
}

unsigned Tiles(Index rows, int of) { return static_cast<unsigned>((rows + of - 1) / of); }

}  // namespace

template <class T>
void Attention(Stream stream, const AttentionShape& s, AttentionMask mask, float scale, const T* q, const T* k,
               const T* v, T* out, float* lse) {
  ISO_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  const bool vectors = RowsFit<T>(s, q, k, v);
  const dim3 blocks(Tiles(s.queries, kOwnRows), static_cast<unsigned>(s.heads), static_cast<unsigned>(s.batch));
  WithHeadSize(s.head_size, [&](auto d) {
    constexpr int kBytes = AttentionShared<d()>(1);
    const auto kernel = AttentionKernel<T, d()>;
    AllowShared(kernel, kBytes);
    ISO_LAUNCH(kernel, blocks, kAttentionThreads, kBytes, stream, s, mask, scale, vectors, q, k, v, out, lse);
  });
}

template <class T>
void AttentionBackward(Stream stream, const AttentionShape& s, AttentionMask mask, float scale, const T* q, const T* k,
                       const T* v, const T* out, const float* lse, const T* dout, float* dq, float* dk, float* dv,
                       float* delta) {
  ISO_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  const bool vectors = RowsFit<T>(s, q, k, v, dout);
  const Index rows = s.batch * s.queries * s.heads;
  const auto delta_kernel = AttentionDeltaKernel<T>;
  ISO_LAUNCH(delta_kernel, Tiles(rows, kAttentionWarps), kAttentionThreads, 0, stream, rows, s.head_size, out, dout,
             delta);
  const AttentionGradients<T> g{q, k, v, dout, lse, delta, dq, dk, dv};
  const auto batch = static_cast<unsigned>(s.batch);
  WithHeadSize(s.head_size, [&](auto d) {
    constexpr int kBytes = AttentionShared<d()>(2);
    const auto of_queries = AttentionQueryGradientKernel<T, d()>;
    const auto of_keys = AttentionKeyGradientKernel<T, d()>;
    AllowShared(of_queries, kBytes);
    AllowShared(of_keys, kBytes);
    ISO_LAUNCH(of_queries, dim3(Tiles(s.queries, kOwnRows), static_cast<unsigned>(s.heads), batch), kAttentionThreads,
               kBytes, stream, s, mask, scale, vectors, g);
    ISO_LAUNCH(of_keys, dim3(Tiles(s.keys, kOwnRows), static_cast<unsigned>(s.kv_heads), batch), kAttentionThreads,
               kBytes, stream, s, mask, scale, vectors, g);
  });
}

template <class T>
void MergeAttention(Stream stream, Index rows, Index head_size, T* out, float* lse, const T* other,
                    const float* other_lse) {
  const auto kernel = MergeAttentionKernel<T>;
  ISO_LAUNCH(kernel, Tiles(rows, kAttentionWarps), kAttentionThreads, 0, stream, rows, head_size, out, lse, other,
             other_lse);
}

#define ISO_ATTENTION(T)                                                                                            \
  template void Attention<T>(Stream, const AttentionShape&, AttentionMask, float, const T*, const T*, const T*, T*, \
                             float*);                                                                               \
  template void AttentionBackward<T>(Stream, const AttentionShape&, AttentionMask, float, const T*, const T*,       \
                                     const T*, const T*, const float*, const T*, float*, float*, float*, float*);   \
  template void MergeAttention<T>(Stream, Index, Index, T*, float*, const T*, const float*);
ISO_FOR_GPU(ISO_ATTENTION)

}  // namespace isochrone::kernels::cuda
