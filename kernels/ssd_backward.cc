#include <algorithm>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/ssd.h"
#include "kernels/ssd_chunk.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

// Gradients of one chunk of one head, at its first position. The sums over the chunk are added to *a and *skip.
template <class T>
struct ChunkGradients {
  T *x, *dt, *b, *c, *a, *skip;
};

// product = c b^T . decay . dt (what multiplied x), and from dproduct = dout x^T:
//   dsum[i] = row sum of dproduct . product - column sum of the same,  ddt[j] = column sum of dproduct . c b^T . decay
//   dproduct becomes the gradient of c b^T
template <class T>
ISO_VECTORISED void DecayBackward(const SsdShape& s, const SsdChunk<T>& k, T* ddt, SsdBuffers<T>& w) {
  T *column = w.column, *dt = w.dt, *decay = w.decay;
  std::fill_n(column, k.n, T(0));
  for (Index i = 0; i < k.n; ++i) {
    T *product = w.product + i * k.n, *dproduct = w.dproduct + i * k.n;
    ISO_SIMD
    for (Index j = 0; j <= i; ++j) decay[j] = Exp(w.sum[i] - w.sum[j]);
    T row = 0;
    ISO_SIMD_SUM(row)
    for (Index j = 0; j <= i; ++j) {
      const T unweighted = product[j] * decay[j], f = dproduct[j] * unweighted;
      column[j] += f;
      row += f * dt[j];
      product[j] = unweighted * dt[j];
      dproduct[j] *= decay[j] * dt[j];
    }
    std::fill(product + i + 1, product + k.n, T(0));
    std::fill(dproduct + i + 1, dproduct + k.n, T(0));
    w.dsum[i] = row;
  }
  for (Index j = 0; j < k.n; ++j) {
    ddt[j * s.heads] = column[j];
    w.dsum[j] -= column[j] * dt[j];
  }
}

// The parts through the states: dleft = dout before^T and dright = x dstate^T are the gradients of the factors.
template <class T>
ISO_VECTORISED void FactorsBackward(const SsdShape& s, const SsdChunk<T>& k, const ChunkGradients<T>& g,
                                    SsdBuffers<T>& w) {
  T after_last = 0;
  for (Index i = 0; i < k.n; ++i) {
    const T since_start = Exp(w.sum[i]), until_end = w.until_end[i], weight = until_end * w.dt[i];
    const T *dleft = w.dleft + i * s.states, *dright = w.dright + i * s.states;
    const T *b = k.b + i * s.bc_pitch, *c = k.c + i * s.bc_pitch;
    T *db = g.b + i * s.bc_pitch, *dc = g.c + i * s.bc_pitch;
    T left = 0, right = 0;
    ISO_SIMD_SUM(left, right)
    for (Index m = 0; m < s.states; ++m) {
      left += c[m] * dleft[m];
      right += b[m] * dright[m];
      dc[m] += since_start * dleft[m];
      db[m] += weight * dright[m];
    }
    g.dt[i * s.heads] += until_end * right;
    w.dsum[i] += since_start * left - weight * right;
    after_last += weight * right;
  }
  T kept = 0;
  ISO_SIMD_SUM(kept)
  for (Index m = 0; m < s.states * s.head_size; ++m) kept += k.before[m] * w.dstate[m];
  w.dsum[k.n - 1] += after_last + Exp(w.sum[k.n - 1]) * kept;
}

// From the gradient of L to those of dt and a: L[i] sums dt a up to i.
template <class T>
void SumBackward(const SsdShape& s, const SsdChunk<T>& k, const ChunkGradients<T>& g, const SsdBuffers<T>& w) {
  T later = 0, da = 0;
  for (Index i = k.n - 1; i >= 0; --i) {
    later += w.dsum[i];
    g.dt[i * s.heads] += later * k.a;
    da += later * w.dt[i];
  }
  *g.a += da;
}

// dx = skip dout, dskip += sum x dout.
template <class T>
ISO_VECTORISED void SkipBackward(const SsdShape& s, const SsdChunk<T>& k, T skip, const T* dout,
                                 const ChunkGradients<T>& g) {
  T sum = 0;
  for (Index i = 0; i < k.n; ++i) {
    const T *x = k.x + i * s.x_pitch, *d = dout + i * s.heads * s.head_size;
    T* dx = g.x + i * s.x_pitch;
    ISO_SIMD_SUM(sum)
    for (Index p = 0; p < s.head_size; ++p) {
      sum += x[p] * d[p];
      dx[p] = skip * d[p];
    }
  }
  *g.skip += sum;
}

template <class T>
ISO_VECTORISED void PrepareBackward(const SsdShape& s, const SsdChunk<T>& k, SsdBuffers<T>& w) {
  SumDecay(s, k, w);
  Factors(s, k, w);
}

template <class T>
ISO_VECTORISED void Shrink(Index n, T factor, T* x) {
  ISO_SIMD
  for (Index i = 0; i < n; ++i) x[i] *= factor;
}

// On entry w.dstate is the gradient of the state after the chunk, on return that of the state before it.
template <class T>
void ChunkBackward(const SsdShape& s, const SsdChunk<T>& k, T skip, const T* dout, const ChunkGradients<T>& g,
                   SsdBuffers<T>& w) {
  constexpr Transpose no = Transpose::kNo, yes = Transpose::kYes;
  const Index n = k.n, d = s.head_size, states = s.states, out_pitch = s.heads * d;
  PrepareBackward(s, k, w);
  SkipBackward(s, k, skip, dout, g);
  Gemm<T>(no, yes, n, n, states, 1, k.c, s.bc_pitch, k.b, s.bc_pitch, 0, w.product, n);
  Gemm<T>(no, yes, n, n, d, 1, dout, out_pitch, k.x, s.x_pitch, 0, w.dproduct, n);
  DecayBackward(s, k, g.dt, w);
  Gemm<T>(yes, no, n, d, n, 1, w.product, n, dout, out_pitch, 1, g.x, s.x_pitch);
  Gemm<T>(no, no, n, d, states, 1, w.right, states, w.dstate, d, 1, g.x, s.x_pitch);
  Gemm<T>(no, no, n, states, n, 1, w.dproduct, n, k.b, s.bc_pitch, 1, g.c, s.bc_pitch);
  Gemm<T>(yes, no, n, states, n, 1, w.dproduct, n, k.c, s.bc_pitch, 1, g.b, s.bc_pitch);
  Gemm<T>(no, yes, n, states, d, 1, dout, out_pitch, k.before, d, 0, w.dleft, states);
  Gemm<T>(no, yes, n, states, d, 1, k.x, s.x_pitch, w.dstate, d, 0, w.dright, states);
  FactorsBackward(s, k, g, w);
  SumBackward(s, k, g, w);
  Shrink(states * d, Exp(w.sum[n - 1]), w.dstate);
  Gemm<T>(yes, no, states, d, n, 1, w.left, states, dout, out_pitch, 1, w.dstate, d);
}

// b and c are shared by the heads of a group, whose gradients add up.
template <class T>
void ClearShared(const SsdShape& s, const SsdGradients<T>& g) {
  for (Index t = 0; t < s.batch * s.positions; ++t) {
    std::fill_n(g.b + t * s.bc_pitch, s.groups * s.states, T(0));
    std::fill_n(g.c + t * s.bc_pitch, s.groups * s.states, T(0));
  }
}

}  // namespace

template <class T>
void SsdScanBackward(const SsdShape& s, const T* x, const T* dt, const T* a, const T* b, const T* c, const T* skip,
                     const T* state, const T* dout, const T* dfinal, const SsdGradients<T>& gradients, T* workspace) {
  ISO_CHECK(s.chunk > 0 && s.groups > 0 && s.heads % s.groups == 0);
  SsdBuffers<T> buffers(s, workspace);
  const Index size = s.states * s.head_size;
  ClearShared(s, gradients);
  for (Index i = 0; i < s.batch * s.heads; ++i) {
    const Index sequence = i / s.heads, head = i % s.heads, group = head / (s.heads / s.groups);
    if (dfinal) std::copy_n(dfinal + i * size, size, buffers.dstate);
    else std::fill_n(buffers.dstate, size, T(0));
    for (Index index = s.Chunks() - 1; index >= 0; --index) {
      const Index first = index * s.chunk, t = sequence * s.positions + first;
      const Index at = t * s.x_pitch + head * s.head_size, bc = t * s.bc_pitch + group * s.states;
      const SsdChunk<T> chunk{
          std::min(s.chunk, s.positions - first),        x + at, dt + t * s.heads + head, b + bc, c + bc,
          state + (i * (s.Chunks() + 1) + index) * size, a[head]};
      ChunkBackward(s, chunk, skip[head], dout + (t * s.heads + head) * s.head_size,
                    {gradients.x + at, gradients.dt + t * s.heads + head, gradients.b + bc, gradients.c + bc,
                     gradients.a + head, gradients.skip + head},
                    buffers);
    }
    if (gradients.initial) std::copy_n(buffers.dstate, size, gradients.initial + i * size);
  }
}

#define ISO_SSD_BACKWARD(T)                                                                                     \
  template void SsdScanBackward<T>(const SsdShape&, const T*, const T*, const T*, const T*, const T*, const T*, \
                                   const T*, const T*, const T*, const SsdGradients<T>&, T*);
ISO_FOR_REAL(ISO_SSD_BACKWARD)

}  // namespace isochrone::kernels
