#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

// Tiles: two score tiles of floats fill a quarter of a 256 KiB second-level cache.
constexpr Index kQueryTile = 64, kKeyTile = 128;

template <class C>
struct Matrix {
  const C* data;
  Index pitch;
};

template <class T>
ISO_VECTORISED void Convert(Index rows, Index columns, const T* from, Index pitch, Compute<T>* to) {
  for (Index r = 0; r < rows; ++r) {
    ISO_SIMD
    for (Index c = 0; c < columns; ++c) to[r * columns + c] = Compute<T>(from[r * pitch + c]);
  }
}

// Rows of a tensor for GEMM: in place where they are stored as they are computed, converted into `buffer` if not.
template <class T>
Matrix<Compute<T>> Rows(Index rows, Index columns, const T* from, Index pitch, Compute<T>* buffer) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    return {from, pitch};
  } else {
    Convert(rows, columns, from, pitch, buffer);
    return {buffer, columns};
  }
}

template <class C>
struct Buffers {
  Index pitch;  // of rows of scores
  C *scores, *dscores, *accumulated, *max, *sum, *delta, *queries, *douts, *keys, *values;

  Buffers(const AttentionShape& s, C* w) : pitch(std::min(kKeyTile, s.keys)) {
    const auto take = [&w](Index n) { return std::exchange(w, w + n); };
    const Index tile = std::min(kQueryTile, s.queries) * pitch;
    scores = take(tile);
    dscores = take(tile);
    accumulated = take(kQueryTile * s.head_size);
    max = take(kQueryTile);
    sum = take(kQueryTile);
    delta = take(s.queries);
    queries = take(kQueryTile * s.head_size);  // from here on only where rows are converted
    douts = take(kQueryTile * s.head_size);
    keys = take(kKeyTile * s.head_size);
    values = take(kKeyTile * s.head_size);
  }
};

// Turns a tile of scores into exponentials, and rescales what was accumulated to the new row maxima.
template <class C>
ISO_VECTORISED void SoftmaxTile(const AttentionShape& s, const AttentionMask& mask, Index query, Index rows, Index key,
                                Index columns, Buffers<C>& w) {
  for (Index r = 0; r < rows; ++r) {
    C* row = w.scores + r * w.pitch;
    const Index first = std::clamp<Index>(mask.First(query + r, s.keys) - key, 0, columns);
    const Index last = std::clamp<Index>(mask.Last(query + r, s.keys) - key, 0, columns);
    std::fill(row, row + first, C(0));
    std::fill(row + last, row + columns, C(0));
    if (first == last) continue;
    C max = w.max[r];
    ISO_SIMD_MAX(max)
    for (Index j = first; j < last; ++j) max = Larger(max, row[j]);
    C sum = 0;
    ISO_SIMD_SUM(sum)
    for (Index j = first; j < last; ++j) {
      row[j] = Exp(row[j] - max);
      sum += row[j];
    }
    const C rescale = Exp(w.max[r] - max);
    w.sum[r] = w.sum[r] * rescale + sum;
    w.max[r] = max;
    C* accumulated = w.accumulated + r * s.head_size;
    ISO_SIMD
    for (Index d = 0; d < s.head_size; ++d) accumulated[d] *= rescale;
  }
}

template <class T>
ISO_VECTORISED void FinishTile(const AttentionShape& s, Index rows, const Buffers<Compute<T>>& w, T* out,
                               Compute<T>* lse) {
  using C = Compute<T>;
  for (Index r = 0; r < rows; ++r) {
    const C inverse = w.sum[r] == 0 ? C(0) : 1 / w.sum[r];
    const C* from = w.accumulated + r * s.head_size;
    T* to = out + r * s.heads * s.head_size;
    ISO_SIMD
    for (Index d = 0; d < s.head_size; ++d) Put(to[d], from[d] * inverse);
    lse[r * s.heads] = w.max[r] + std::log(w.sum[r]);
  }
}

// p from scores, in place; then ds from dp, in place.
template <class C>
ISO_VECTORISED void GradientTile(const AttentionShape& s, const AttentionMask& mask, C scale, Index query, Index rows,
                                 Index key, Index columns, const C* lse, Buffers<C>& w) {
  for (Index r = 0; r < rows; ++r) {
    C *p = w.scores + r * w.pitch, *ds = w.dscores + r * w.pitch;
    const Index first = std::clamp<Index>(mask.First(query + r, s.keys) - key, 0, columns);
    const Index last = std::clamp<Index>(mask.Last(query + r, s.keys) - key, 0, columns);
    const C row_lse = lse[r * s.heads], delta = w.delta[query + r];
    std::fill(p, p + first, C(0));
    std::fill(ds, ds + first, C(0));
    ISO_SIMD
    for (Index j = first; j < last; ++j) {
      p[j] = Exp(p[j] - row_lse);
      ds[j] = scale * p[j] * (ds[j] - delta);
    }
    std::fill(p + last, p + columns, C(0));
    std::fill(ds + last, ds + columns, C(0));
  }
}

template <class T>
ISO_VECTORISED void RowDots(Index rows, Index columns, Index pitch, const T* a, const T* b, Compute<T>* out) {
  using C = Compute<T>;
  for (Index r = 0; r < rows; ++r) {
    C dot = 0;
    ISO_SIMD_SUM(dot)
    for (Index c = 0; c < columns; ++c) dot += C(a[r * pitch + c]) * C(b[r * pitch + c]);
    out[r] = dot;
  }
}

// One head of one sequence.
template <class T>
void Head(const AttentionShape& s, const AttentionMask& mask, Compute<T> scale, const T* q, const T* k, const T* v,
          T* out, Compute<T>* lse, Buffers<Compute<T>> w) {
  using C = Compute<T>;
  const Index size = s.head_size;
  for (Index query = 0; query < s.queries; query += kQueryTile) {
    const Index rows = std::min(kQueryTile, s.queries - query);
    const auto q_tile = Rows(rows, size, q + query * s.query_pitch, s.query_pitch, w.queries);
    std::fill_n(w.accumulated, rows * size, C(0));
    std::fill_n(w.max, rows, -std::numeric_limits<C>::infinity());
    std::fill_n(w.sum, rows, C(0));
    const Index last = mask.Last(query + rows - 1, s.keys);
    for (Index key = mask.First(query, s.keys); key < last; key += kKeyTile) {
      const Index columns = std::min(kKeyTile, last - key);
      const auto k_tile = Rows(columns, size, k + key * s.key_pitch, s.key_pitch, w.keys);
      const auto v_tile = Rows(columns, size, v + key * s.key_pitch, s.key_pitch, w.values);
      Gemm<C>(Transpose::kNo, Transpose::kYes, rows, columns, size, scale, q_tile.data, q_tile.pitch, k_tile.data,
              k_tile.pitch, 0, w.scores, w.pitch);
      SoftmaxTile(s, mask, query, rows, key, columns, w);
      Gemm<C>(Transpose::kNo, Transpose::kNo, rows, size, columns, 1, w.scores, w.pitch, v_tile.data, v_tile.pitch, 1,
              w.accumulated, size);
    }
    FinishTile(s, rows, w, out + query * s.heads * size, lse + query * s.heads);
  }
}

template <class T>
void HeadBackward(const AttentionShape& s, const AttentionMask& mask, Compute<T> scale, const T* q, const T* k,
                  const T* v, const T* out, const Compute<T>* lse, const T* dout, Compute<T>* dq, Compute<T>* dk,
                  Compute<T>* dv, Buffers<Compute<T>> w) {
  using C = Compute<T>;
  constexpr Transpose no = Transpose::kNo, yes = Transpose::kYes;
  const Index size = s.head_size, out_pitch = s.heads * size;
  RowDots(s.queries, size, out_pitch, dout, out, w.delta);
  for (Index tile = 0; tile < s.keys; tile += kKeyTile) {
    for (Index query = 0; query < s.queries; query += kQueryTile) {
      const Index rows = std::min(kQueryTile, s.queries - query);
      const Index key = std::max(tile, mask.First(query, s.keys));
      const Index columns = std::min(tile + kKeyTile, mask.Last(query + rows - 1, s.keys)) - key;
      if (columns <= 0) continue;
      const auto q_tile = Rows(rows, size, q + query * s.query_pitch, s.query_pitch, w.queries);
      const auto dout_tile = Rows(rows, size, dout + query * out_pitch, out_pitch, w.douts);
      const auto k_tile = Rows(columns, size, k + key * s.key_pitch, s.key_pitch, w.keys);
      const auto v_tile = Rows(columns, size, v + key * s.key_pitch, s.key_pitch, w.values);
      Gemm<C>(no, yes, rows, columns, size, scale, q_tile.data, q_tile.pitch, k_tile.data, k_tile.pitch, 0, w.scores,
              w.pitch);
      Gemm<C>(no, yes, rows, columns, size, 1, dout_tile.data, dout_tile.pitch, v_tile.data, v_tile.pitch, 0, w.dscores,
              w.pitch);
      GradientTile(s, mask, scale, query, rows, key, columns, lse + query * s.heads, w);
      Gemm<C>(yes, no, columns, size, rows, 1, w.scores, w.pitch, dout_tile.data, dout_tile.pitch, 1,
              dv + key * s.key_pitch, s.key_pitch);
      Gemm<C>(no, no, rows, size, columns, 1, w.dscores, w.pitch, k_tile.data, k_tile.pitch, 1,
              dq + query * s.query_pitch, s.query_pitch);
      Gemm<C>(yes, no, columns, size, rows, 1, w.dscores, w.pitch, q_tile.data, q_tile.pitch, 1, dk + key * s.key_pitch,
              s.key_pitch);
    }
  }
}

// Calls body(query offset, key offset, out offset, lse offset) for every head of every sequence.
template <class Body>
void ForEachHead(const AttentionShape& s, Body body) {
  ISO_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  const Index group = s.heads / s.kv_heads;
  for (Index b = 0; b < s.batch; ++b)
    for (Index a = 0; a < s.heads; ++a)
      body(b * s.queries * s.query_pitch + a * s.head_size, b * s.keys * s.key_pitch + a / group * s.head_size,
           (b * s.queries * s.heads + a) * s.head_size, b * s.queries * s.heads + a);
}

}  // namespace

template <class T>
Index AttentionWorkspace(const AttentionShape& s) {
  const Index converted = std::is_same_v<T, Compute<T>> ? 0 : 2 * (kQueryTile + kKeyTile) * s.head_size;
  return 2 * std::min(kQueryTile, s.queries) * std::min(kKeyTile, s.keys) + kQueryTile * s.head_size + 2 * kQueryTile +
         s.queries + converted;
}

template <class T>
void Attention(const AttentionShape& shape, AttentionMask mask, Compute<T> scale, const T* q, const T* k, const T* v,
               T* out, Compute<T>* lse, Compute<T>* workspace) {
  const Buffers<Compute<T>> buffers(shape, workspace);
  ForEachHead(shape, [&](Index query, Index key, Index result, Index stat) {
    Head(shape, mask, scale, q + query, k + key, v + key, out + result, lse + stat, buffers);
  });
}

template <class T>
void AttentionBackward(const AttentionShape& shape, AttentionMask mask, Compute<T> scale, const T* q, const T* k,
                       const T* v, const T* out, const Compute<T>* lse, const T* dout, Compute<T>* dq, Compute<T>* dk,
                       Compute<T>* dv, Compute<T>* workspace) {
  const Buffers<Compute<T>> buffers(shape, workspace);
  ForEachHead(shape, [&](Index query, Index key, Index result, Index stat) {
    HeadBackward(shape, mask, scale, q + query, k + key, v + key, out + result, lse + stat, dout + result, dq + query,
                 dk + key, dv + key, buffers);
  });
}

template <class T>
ISO_VECTORISED void MergeAttention(Index rows, Index head_size, T* out, Compute<T>* lse, const T* other,
                                   const Compute<T>* other_lse) {
  using C = Compute<T>;
  for (Index r = 0; r < rows; ++r) {
    const C max = std::max(lse[r], other_lse[r]);
    if (max == -std::numeric_limits<C>::infinity()) continue;  // neither side saw a key: out is 0 already
    const C mine = std::exp(lse[r] - max), theirs = std::exp(other_lse[r] - max), sum = mine + theirs;
    T* x = out + r * head_size;
    const T* y = other + r * head_size;
    ISO_SIMD
    for (Index d = 0; d < head_size; ++d) Put(x[d], (mine * C(x[d]) + theirs * C(y[d])) / sum);
    lse[r] = max + std::log(sum);
  }
}

#define ISO_ATTENTION(T)                                                                                             \
  template Index AttentionWorkspace<T>(const AttentionShape&);                                                       \
  template void Attention<T>(const AttentionShape&, AttentionMask, Compute<T>, const T*, const T*, const T*, T*,     \
                             Compute<T>*, Compute<T>*);                                                              \
  template void AttentionBackward<T>(const AttentionShape&, AttentionMask, Compute<T>, const T*, const T*, const T*, \
                                     const T*, const Compute<T>*, const T*, Compute<T>*, Compute<T>*, Compute<T>*,   \
                                     Compute<T>*);                                                                   \
  template void MergeAttention<T>(Index, Index, T*, Compute<T>*, const T*, const Compute<T>*);
ISO_FOR_STORAGE(ISO_ATTENTION)

}  // namespace isochrone::kernels
