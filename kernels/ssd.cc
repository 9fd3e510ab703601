#include "kernels/ssd.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/ssd_chunk.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

// product = c b^T . decay . dt, lower triangle, in place of c b^T.
template <class T>
ISO_VECTORISED void Decay(const SsdChunk<T>& k, SsdBuffers<T>& w) {
  for (Index i = 0; i < k.n; ++i) {
    T* row = w.product + i * k.n;
    ISO_SIMD
    for (Index j = 0; j <= i; ++j) row[j] *= Exp(w.sum[i] - w.sum[j]) * w.dt[j];
    std::fill(row + i + 1, row + k.n, T(0));
  }
}

template <class T>
ISO_VECTORISED void Prepare(const SsdShape& s, const SsdChunk<T>& k, SsdBuffers<T>& w) {
  SumDecay(s, k, w);
  Factors(s, k, w);
}

template <class T>
ISO_VECTORISED void ScaleInto(Index n, T alpha, const T* x, T* y) {
  ISO_SIMD
  for (Index i = 0; i < n; ++i) y[i] = alpha * x[i];
}

template <class T>
void Chunk(const SsdShape& s, const SsdChunk<T>& k, T skip, T* out, T* after, SsdBuffers<T>& w) {
  constexpr Transpose no = Transpose::kNo, yes = Transpose::kYes;
  const Index out_pitch = s.heads * s.head_size;
  Prepare(s, k, w);
  Gemm<T>(no, yes, k.n, k.n, s.states, 1, k.c, s.bc_pitch, k.b, s.bc_pitch, 0, w.product, k.n);
  Decay(k, w);
  for (Index i = 0; i < k.n; ++i) ScaleInto(s.head_size, skip, k.x + i * s.x_pitch, out + i * out_pitch);
  Gemm<T>(no, no, k.n, s.head_size, k.n, 1, w.product, k.n, k.x, s.x_pitch, 1, out, out_pitch);
  Gemm<T>(no, no, k.n, s.head_size, s.states, 1, w.left, s.states, k.before, s.head_size, 1, out, out_pitch);
  ScaleInto(s.states * s.head_size, Exp(w.sum[k.n - 1]), k.before, after);
  Gemm<T>(yes, no, s.states, s.head_size, k.n, 1, w.right, s.states, k.x, s.x_pitch, 1, after, s.head_size);
}

}  // namespace

Index SsdWorkspace(const SsdShape& s) {
  return 2 * s.chunk * s.chunk + 4 * s.chunk * s.states + s.states * s.head_size + 6 * s.chunk;
}

template <class T>
void SsdScan(const SsdShape& s, const T* x, const T* dt, const T* a, const T* b, const T* c, const T* skip,
             const T* initial, T* out, T* state, T* workspace) {
  ISO_CHECK(s.chunk > 0 && s.groups > 0 && s.heads % s.groups == 0);
  SsdBuffers<T> buffers(s, workspace);
  const Index size = s.states * s.head_size;
  for (Index i = 0; i < s.batch * s.heads; ++i) {
    const Index sequence = i / s.heads, head = i % s.heads, group = head / (s.heads / s.groups);
    T* before = state + i * (s.Chunks() + 1) * size;
    if (initial) std::copy_n(initial + i * size, size, before);
    else std::fill_n(before, size, T(0));
    for (Index first = 0; first < s.positions; first += s.chunk, before += size) {
      const Index t = sequence * s.positions + first, bc = t * s.bc_pitch + group * s.states;
      const SsdChunk<T> chunk{std::min(s.chunk, s.positions - first),
                              x + t * s.x_pitch + head * s.head_size,
                              dt + t * s.heads + head,
                              b + bc,
                              c + bc,
                              before,
                              a[head]};
      Chunk(s, chunk, skip[head], out + (t * s.heads + head) * s.head_size, before + size, buffers);
    }
  }
}

#define ISO_SSD(T)                                                                                                    \
  template void SsdScan<T>(const SsdShape&, const T*, const T*, const T*, const T*, const T*, const T*, const T*, T*, \
                           T*, T*);
ISO_FOR_REAL(ISO_SSD)

}  // namespace isochrone::kernels
