#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/mask.cuh"

// Contract: kernels/attention.h. A block of four warps owns 16 rows (queries, or keys in the pass for dk and dv), four
// a warp, and walks over the other side in tiles of 32, one for each lane. Scores never leave registers.
//
// Source  Dao, "FlashAttention-2", arXiv:2307.08691, algorithms 1 and 2, with the gradients of queries and of keys in
//         launches of their own, so that no sum needs atomics. Arithmetic is float on CUDA cores.

namespace isochrone::kernels::cuda {

constexpr int kRowsOfWarp = 4, kAttentionWarps = 4, kOwnRows = kRowsOfWarp * kAttentionWarps, kTileRows = 32;
constexpr int kAttentionThreads = kAttentionWarps * kWarp;

/// Rows to shared memory as floats, zeros beyond `rows` and beyond `columns`, until (kRows, D). Reads 16 bytes at a
/// time where `vectors` says that all rows begin and end at such.
template <int kRows, int D, class T>
__device__ __forceinline__ void LoadRows(float* to, int to_pitch, const T* from, Index pitch, Index rows, Index columns,
                                         bool vectors) {
  if (vectors) {
    constexpr int N = kVector<T>;
    for (int i = static_cast<int>(threadIdx.x) * N; i < kRows * D; i += kAttentionThreads * N) {
      const int r = i / D, c = i % D;
      const Pack<N> v = r < rows && c < columns ? Read<N>(from + r * pitch + c) : Same<N>(0);
#pragma unroll
      for (int j = 0; j < N; ++j) to[r * to_pitch + c + j] = v.at[j];
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < kRows * D; i += kAttentionThreads) {
      const int r = i / D, c = i % D;
      to[r * to_pitch + c] = r < rows && c < columns ? ToFloat(from[r * pitch + c]) : 0.0f;
    }
  }
}

/// dot[r] = the warp's own row r times the tile's row `lane`.
template <int D>
__device__ __forceinline__ void Dots(const float* own, const float* tile, float (&dot)[kRowsOfWarp]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) dot[r] = 0;
#pragma unroll 8
  for (int d = 0; d < D; ++d) {
    const float other = tile[lane * (D + 1) + d];
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) dot[r] += own[r * D + d] * other;
  }
}

/// sum[r][c] += sum_j weight[r] of lane j times column 32 c + lane of the tile's row j. The weights of a warp go
/// through its part of `exchange` (kTileRows, kRowsOfWarp), from where every lane reads those of one j at once.
template <int D>
__device__ __forceinline__ void AddWeighted(const float (&weight)[kRowsOfWarp], const float* tile, float* exchange,
                                            float (&sum)[kRowsOfWarp][D / kWarp]) {
  static_assert(kRowsOfWarp * sizeof(float) == sizeof(Access));
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  Pack<kRowsOfWarp> mine;
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) mine.at[r] = weight[r];
  Write<kRowsOfWarp>(exchange + lane * kRowsOfWarp, mine);
  __syncwarp();
#pragma unroll 4
  for (int j = 0; j < kTileRows; ++j) {
    const Pack<kRowsOfWarp> of_row = Read<kRowsOfWarp>(exchange + j * kRowsOfWarp);
#pragma unroll
    for (int c = 0; c < D / kWarp; ++c) {
      const float value = tile[j * (D + 1) + c * kWarp + lane];
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) sum[r][c] += of_row.at[r] * value;
    }
  }
  __syncwarp();  // before the weights are replaced
}

/// Bytes of dynamic shared memory: exchanges of weights, `own_arrays` of own rows, two tiles, two numbers for each of a
/// tile's rows.
constexpr int kExchange = kAttentionWarps * kTileRows * kRowsOfWarp;
template <int D>
constexpr int AttentionShared(int own_arrays) {
  return static_cast<int>(sizeof(float)) *
         (kExchange + own_arrays * kOwnRows * D + 2 * kTileRows * (D + 1) + 2 * kTileRows);
}
/// The warp's part of the exchanges.
__device__ __forceinline__ float* ExchangeOf(float* shared) {
  return shared + static_cast<int>(threadIdx.x) / kWarp * kTileRows * kRowsOfWarp;
}

/// One head and 16 queries: grid (query tiles, A, B).
template <class T, int D>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    AttentionKernel(AttentionShape s, AttentionMask mask, float scale, bool vectors, const T* q, const T* k, const T* v,
                    T* out, float* lse) {
  ISO_DYNAMIC_SHARED(float, shared);
  float *own = shared + kExchange, *keys = own + kOwnRows * D, *values = keys + kTileRows * (D + 1);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const Index head = blockIdx.y, batch = blockIdx.z, first_query = Index{blockIdx.x} * kOwnRows;
  const Index rows = s.queries - first_query < kOwnRows ? s.queries - first_query : kOwnRows;
  const Index key_head = head / (s.heads / s.kv_heads),
              key_base = batch * s.keys * s.key_pitch + key_head * s.head_size;
  LoadRows<kOwnRows, D>(own, D, q + (batch * s.queries + first_query) * s.query_pitch + head * s.head_size,
                        s.query_pitch, rows, s.head_size, vectors);
  own += warp * kRowsOfWarp * D;
  float sum[kRowsOfWarp][D / kWarp] = {}, largest[kRowsOfWarp], total[kRowsOfWarp];
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    largest[r] = Larger::kNeutral;
    total[r] = 0;
  }
  const Index end = LastKey(mask, first_query + rows - 1, s.keys);
  for (Index key = FirstKey(mask, first_query, s.keys); key < end; key += kTileRows) {
    const Index columns = end - key;
    __syncthreads();
    LoadRows<kTileRows, D>(keys, D + 1, k + key_base + key * s.key_pitch, s.key_pitch, columns, s.head_size, vectors);
    LoadRows<kTileRows, D>(values, D + 1, v + key_base + key * s.key_pitch, s.key_pitch, columns, s.head_size, vectors);
    __syncthreads();
    float p[kRowsOfWarp];
    Dots<D>(own, keys, p);
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      const Index query = first_query + warp * kRowsOfWarp + r;
      const bool seen =
          query < s.queries && key + lane >= FirstKey(mask, query, s.keys) && key + lane < LastKey(mask, query, s.keys);
      const float score = seen ? scale * p[r] : Larger::kNeutral;
      const float most = Larger()(largest[r], OverWarp(score, Larger()));
      p[r] = seen ? expf(score - most) : 0.0f;
      const float rescale = largest[r] == most ? 1.0f : expf(largest[r] - most);  // both may be -infinity
      total[r] = total[r] * rescale + OverWarp(p[r], Plus());
      largest[r] = most;
#pragma unroll
      for (int c = 0; c < D / kWarp; ++c) sum[r][c] *= rescale;
    }
    AddWeighted<D>(p, values, ExchangeOf(shared), sum);
  }
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Index query = first_query + warp * kRowsOfWarp + r;
    if (query >= s.queries) continue;
    const Index row = (batch * s.queries + query) * s.heads + head;
    const float inverse = total[r] == 0 ? 0.0f : 1 / total[r];
#pragma unroll
    for (int c = 0; c < D / kWarp; ++c)
      if (c * kWarp + lane < s.head_size) Store(out[row * s.head_size + c * kWarp + lane], sum[r][c] * inverse);
    if (lane == 0) lse[row] = largest[r] + logf(total[r]);
  }
}

/// delta[row] = dout[row] . out[row]; one warp a row.
template <class T>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    AttentionDeltaKernel(Index rows, Index head_size, const T* out, const T* dout, float* delta) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const Index row = Index{blockIdx.x} * kAttentionWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (row >= rows) return;
  float dot = 0;
  for (Index d = lane; d < head_size; d += kWarp)
    dot += ToFloat(out[row * head_size + d]) * ToFloat(dout[row * head_size + d]);
  dot = OverWarp(dot, Plus());
  if (lane == 0) delta[row] = dot;
}

/// Arrays of the backward pass.
template <class T>
struct AttentionGradients {
  const T *q, *k, *v, *dout;
  const float *lse, *delta;
  float *dq, *dk, *dv;
};

/// p and ds of one pair.
__device__ __forceinline__ void PairGradient(const AttentionShape& s, const AttentionMask& mask, float scale,
                                             Index query, Index key, float score, float dp, float lse, float delta,
                                             float* p, float* ds) {
  const bool seen =
      query < s.queries && key < s.keys && key >= FirstKey(mask, query, s.keys) && key < LastKey(mask, query, s.keys);
  *p = seen ? expf(scale * score - lse) : 0.0f;
  *ds = seen ? scale * *p * (dp - delta) : 0.0f;
}

/// dq of 16 queries of one head: grid (query tiles, A, B).
template <class T, int D>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    AttentionQueryGradientKernel(AttentionShape s, AttentionMask mask, float scale, bool vectors,
                                 AttentionGradients<T> g) {
  ISO_DYNAMIC_SHARED(float, shared);
  float *own_q = shared + kExchange, *own_d = own_q + kOwnRows * D, *keys = own_d + kOwnRows * D;
  float* values = keys + kTileRows * (D + 1);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const Index head = blockIdx.y, batch = blockIdx.z, first_query = Index{blockIdx.x} * kOwnRows;
  const Index rows = s.queries - first_query < kOwnRows ? s.queries - first_query : kOwnRows;
  const Index key_base = batch * s.keys * s.key_pitch + head / (s.heads / s.kv_heads) * s.head_size;
  const Index query_base = (batch * s.queries + first_query) * s.query_pitch + head * s.head_size;
  const Index first_row = (batch * s.queries + first_query) * s.heads + head, out_pitch = s.heads * s.head_size;
  LoadRows<kOwnRows, D>(own_q, D, g.q + query_base, s.query_pitch, rows, s.head_size, vectors);
  LoadRows<kOwnRows, D>(own_d, D, g.dout + first_row * s.head_size, out_pitch, rows, s.head_size, vectors);
  own_q += warp * kRowsOfWarp * D;
  own_d += warp * kRowsOfWarp * D;
  float lse[kRowsOfWarp], delta[kRowsOfWarp], dq[kRowsOfWarp][D / kWarp] = {};
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Index at = warp * kRowsOfWarp + r;
    lse[r] = at < rows ? g.lse[first_row + at * s.heads] : 0.0f;
    delta[r] = at < rows ? g.delta[first_row + at * s.heads] : 0.0f;
  }
  const Index end = LastKey(mask, first_query + rows - 1, s.keys);
  for (Index key = FirstKey(mask, first_query, s.keys); key < end; key += kTileRows) {
    const Index from = key_base + key * s.key_pitch;
    __syncthreads();
    LoadRows<kTileRows, D>(keys, D + 1, g.k + from, s.key_pitch, end - key, s.head_size, vectors);
    LoadRows<kTileRows, D>(values, D + 1, g.v + from, s.key_pitch, end - key, s.head_size, vectors);
    __syncthreads();
    float score[kRowsOfWarp], dp[kRowsOfWarp], p = 0;
    Dots<D>(own_q, keys, score);
    Dots<D>(own_d, values, dp);
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r)
      PairGradient(s, mask, scale, first_query + warp * kRowsOfWarp + r, key + lane, score[r], dp[r], lse[r], delta[r],
                   &p, &dp[r]);
    AddWeighted<D>(dp, keys, ExchangeOf(shared), dq);
  }
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Index at = warp * kRowsOfWarp + r;
#pragma unroll
    for (int c = 0; c < D / kWarp; ++c)
      if (at < rows && c * kWarp + lane < s.head_size)
        g.dq[query_base + at * s.query_pitch + c * kWarp + lane] += dq[r][c];
  }
}

/// dk and dv of 16 keys of one key head, over all query heads that read it: grid (key tiles, kv_heads, B).
template <class T, int D>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    AttentionKeyGradientKernel(AttentionShape s, AttentionMask mask, float scale, bool vectors,
                               AttentionGradients<T> g) {
  ISO_DYNAMIC_SHARED(float, shared);
  float *own_k = shared + kExchange, *own_v = own_k + kOwnRows * D, *queries = own_v + kOwnRows * D;
  float *douts = queries + kTileRows * (D + 1), *lse = douts + kTileRows * (D + 1), *delta = lse + kTileRows;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const Index key_head = blockIdx.y, batch = blockIdx.z, first_key = Index{blockIdx.x} * kOwnRows;
  const Index rows = s.keys - first_key < kOwnRows ? s.keys - first_key : kOwnRows;
  const Index group = s.heads / s.kv_heads, out_pitch = s.heads * s.head_size;
  const Index key_base = (batch * s.keys + first_key) * s.key_pitch + key_head * s.head_size;
  LoadRows<kOwnRows, D>(own_k, D, g.k + key_base, s.key_pitch, rows, s.head_size, vectors);
  LoadRows<kOwnRows, D>(own_v, D, g.v + key_base, s.key_pitch, rows, s.head_size, vectors);
  own_k += warp * kRowsOfWarp * D;
  own_v += warp * kRowsOfWarp * D;
  float dk[kRowsOfWarp][D / kWarp] = {}, dv[kRowsOfWarp][D / kWarp] = {};
  for (Index head = key_head * group; head < (key_head + 1) * group; ++head) {
    for (Index query = 0; query < s.queries; query += kTileRows) {
      const Index columns = s.queries - query < kTileRows ? s.queries - query : kTileRows;
      if (FirstKey(mask, query, s.keys) >= first_key + rows) break;
      if (LastKey(mask, query + columns - 1, s.keys) <= first_key) continue;
      const Index row = (batch * s.queries + query) * s.heads + head;
      __syncthreads();
      LoadRows<kTileRows, D>(queries, D + 1, g.q + (batch * s.queries + query) * s.query_pitch + head * s.head_size,
                             s.query_pitch, columns, s.head_size, vectors);
      LoadRows<kTileRows, D>(douts, D + 1, g.dout + row * s.head_size, out_pitch, columns, s.head_size, vectors);
      if (threadIdx.x < kTileRows) {
        lse[lane] = lane < columns ? g.lse[row + lane * s.heads] : 0.0f;
        delta[lane] = lane < columns ? g.delta[row + lane * s.heads] : 0.0f;
      }
      __syncthreads();
      float p[kRowsOfWarp], ds[kRowsOfWarp];
      Dots<D>(own_k, queries, p);
      Dots<D>(own_v, douts, ds);
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r)
        PairGradient(s, mask, scale, query + lane, first_key + warp * kRowsOfWarp + r, p[r], ds[r], lse[lane],
                     delta[lane], &p[r], &ds[r]);
      AddWeighted<D>(ds, queries, ExchangeOf(shared), dk);
      AddWeighted<D>(p, douts, ExchangeOf(shared), dv);
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Index at = warp * kRowsOfWarp + r;
#pragma unroll
    for (int c = 0; c < D / kWarp; ++c) {
      if (at >= rows || c * kWarp + lane >= s.head_size) continue;
      g.dk[key_base + at * s.key_pitch + c * kWarp + lane] += dk[r][c];
      g.dv[key_base + at * s.key_pitch + c * kWarp + lane] += dv[r][c];
    }
  }
}

/// One warp a row.
template <class T>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    MergeAttentionKernel(Index rows, Index head_size, T* out, float* lse, const T* other, const float* other_lse) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const Index row = Index{blockIdx.x} * kAttentionWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (row >= rows) return;
  const float a = lse[row], b = other_lse[row], most = a < b ? b : a;
  if (most == Larger::kNeutral) return;  // neither side saw a key: out is 0 already
  const float mine = expf(a - most), theirs = expf(b - most), sum = mine + theirs;
  for (Index d = lane; d < head_size; d += kWarp) {
    T& x = out[row * head_size + d];
    Store(x, (mine * ToFloat(x) + theirs * ToFloat(other[row * head_size + d])) / sum);
  }
  __syncwarp();  // every lane has read lse
  if (lane == 0) lse[row] = most + logf(sum);
}

}  // namespace isochrone::kernels::cuda
