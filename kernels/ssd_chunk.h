#pragma once

#include <utility>

#include "kernels/ssd.h"
#include "kernels/vectorised.h"

// One chunk of one head, as the forward and backward passes of the scan both see it. With n positions in the chunk and
// L[i] the sum of dt a up to and with i:
//
//   decay[i,j] = e^(L[i] - L[j]) for j <= i, 0 above     (n, n)
//   out        = (c b^T . decay . dt[j]) x + (e^L c) state_before
//   state      = e^(L[n-1]) state_before + (e^(L[n-1] - L) dt b)^T x
//
// Source  Dao & Gu, arXiv:2405.21060, section 6: diagonal blocks, right factor, state passing, left factor.

namespace isochrone::kernels {

/// Pieces of the workspace, for one chunk.
template <class T>
struct SsdBuffers {
  T *product, *dproduct;                            // (chunk, chunk)
  T *left, *right, *dleft, *dright;                 // (chunk, N)
  T* dstate;                                        // (N, D)
  T *sum, *until_end, *dsum, *column, *dt, *decay;  // (chunk)

  SsdBuffers(const SsdShape& s, T* w) {
    const auto take = [&w](Index n) { return std::exchange(w, w + n); };
    for (T** square : {&product, &dproduct}) *square = take(s.chunk * s.chunk);
    for (T** factor : {&left, &right, &dleft, &dright}) *factor = take(s.chunk * s.states);
    dstate = take(s.states * s.head_size);
    for (T** row : {&sum, &until_end, &dsum, &column, &dt, &decay}) *row = take(s.chunk);
  }
};

/// One chunk of one head in the arrays of a scan.
template <class T>
struct SsdChunk {
  Index n;                           // positions
  const T *x, *dt, *b, *c, *before;  // first position; state before the chunk
  T a;
};

/// dt made dense, sum = L, until_end[j] = e^(L[n-1] - L[j]).
template <class T>
ISO_INLINE void SumDecay(const SsdShape& s, const SsdChunk<T>& k, SsdBuffers<T>& w) {
  T sum = 0;
  for (Index i = 0; i < k.n; ++i) {
    w.dt[i] = k.dt[i * s.heads];
    w.sum[i] = sum += w.dt[i] * k.a;
  }
  ISO_SIMD
  for (Index j = 0; j < k.n; ++j) w.until_end[j] = Exp(sum - w.sum[j]);
}

/// left[i] = e^L[i] c[i],  right[j] = e^(L[n-1] - L[j]) dt[j] b[j]
template <class T>
ISO_INLINE void Factors(const SsdShape& s, const SsdChunk<T>& k, SsdBuffers<T>& w) {
  for (Index i = 0; i < k.n; ++i) {
    const T since_start = Exp(w.sum[i]), weight = w.until_end[i] * w.dt[i];
    ISO_SIMD
    for (Index m = 0; m < s.states; ++m) {
      w.left[i * s.states + m] = since_start * k.c[i * s.bc_pitch + m];
      w.right[i * s.states + m] = weight * k.b[i * s.bc_pitch + m];
    }
  }
}

}  // namespace isochrone::kernels
