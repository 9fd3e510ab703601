// Attention on packed queries, keys and values: per token all local query heads, then key heads, then value heads.
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "executor/packed_heads.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/softmax.h"

namespace isochrone::executor {
namespace {

using kernels::Transpose;

/// Calls body(element of a square of scores, of a query, of its key, of its value, of its output row, first of group).
template <class Body>
void ForEachHead(const SquareHeads& h, Body body) {
  const Index group = h.query / h.key;
  for (Index b = 0; b < h.sequences; ++b) {
    for (Index a = 0; a < h.query; ++a) {
      const Index token = b * h.positions;
      body((b * h.query + a) * h.positions * h.positions, token * h.Packed() + a * h.size,
           token * h.Packed() + h.KeyAt() + a / group * h.size, token * h.Packed() + h.ValueAt() + a / group * h.size,
           (token * h.query + a) * h.size, a % group == 0);
    }
  }
}

}  // namespace

/// Sequences are shared by the rank's threads, each with tiles of its own.
template <class T>
void ComputeAttention(const plan::Attention& a, const Operands<T>& o) {
  const PackedHeads heads = HeadsOf(a);
  const kernels::AttentionShape whole = heads.Shape(a.batch, a.queries, a.keys);
  const kernels::AttentionMask mask{.causal = a.causal, .window = a.window};
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(a.qk_dim)));
  const Index key_at = heads.KeyAt(), value_at = heads.ValueAt();
  const Index tile = kernels::AttentionWorkspace<T>(whole), row = a.queries * a.heads;
  const Memory::Handle workspace = o.Workspace(o.workers->PartsOf(a.batch, 1) * tile);
  const bool forward = a.pass == plan::Pass::kForward;
  o.workers->Split(a.batch, 1, [&](Index begin, Index end, int part) {
    kernels::AttentionShape shape = whole;
    shape.batch = end - begin;
    T* tiles = workspace->template As<T>() + part * tile;
    const Index packed = begin * a.queries * shape.query_pitch, dense = begin * row * a.qk_dim;
    const T* qkv = o.In(forward ? 0 : 1) + packed;
    if (forward) {
      kernels::Attention<T>(shape, mask, scale, qkv, qkv + key_at, qkv + value_at, o.Out(0) + dense,
                            o.Out(1) + begin * row, tiles);
      return;
    }
    T* dqkv = o.Out(0) + packed;
    std::memset(dqkv, 0, static_cast<std::size_t>(shape.batch * a.queries * shape.query_pitch) * sizeof(T));
    kernels::AttentionBackward<T>(shape, mask, scale, qkv, qkv + key_at, qkv + value_at, o.In(2) + dense,
                                  o.In(3) + begin * row, o.In(0) + dense, dqkv, dqkv + key_at, dqkv + value_at, tiles);
  });
}

template <class T>
void ComputeAttentionProduct(const plan::Gemm& g, const Operands<T>& o) {
  const SquareHeads h = HeadsOf(*o.settings->model, *o.program, *o.op);
  const Index S = h.positions, D = h.size, packed = h.Packed(), row = h.query * D;
  constexpr Transpose kNo = Transpose::kNo, kYes = Transpose::kYes;
  ForEachHead(h, [&](Index square, Index query, Index key, Index value, Index out, bool first_of_group) {
    const T add = first_of_group ? T(0) : T(1);
    switch (g.role) {
      case plan::GemmRole::kScores:
        return kernels::Gemm<T>(kNo, kYes, S, S, D, 1, o.In(0) + query, packed, o.In(0) + key, packed, 0,
                                o.Out(0) + square, S);
      case plan::GemmRole::kContext:
        return kernels::Gemm<T>(kNo, kNo, S, D, S, 1, o.In(0) + square, S, o.In(1) + value, packed, 0, o.Out(0) + out,
                                row);
      case plan::GemmRole::kGradProbabilities:
        return kernels::Gemm<T>(kNo, kYes, S, S, D, 1, o.In(0) + out, row, o.In(1) + value, packed, 0,
                                o.Out(0) + square, S);
      case plan::GemmRole::kGradValues:
        return kernels::Gemm<T>(kYes, kNo, S, D, S, 1, o.In(0) + square, S, o.In(1) + out, row, add, o.Out(0) + value,
                                packed);
      case plan::GemmRole::kGradQueries:
        return kernels::Gemm<T>(kNo, kNo, S, D, S, 1, o.In(0) + square, S, o.In(1) + key, packed, 0, o.Out(0) + query,
                                packed);
      case plan::GemmRole::kGradKeys:
        return kernels::Gemm<T>(kYes, kNo, S, D, S, 1, o.In(0) + square, S, o.In(1) + query, packed, add,
                                o.Out(0) + key, packed);
      default:
        ISO_CHECK_NOTE(false, o.op->name);
    }
  });
}

template <class T>
void ComputeSoftmax(const plan::Softmax& s, const Operands<T>& o) {
  const Index queries = s.columns, batch = s.rows / queries;  // a square
  const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(o.settings->model->head_dim)));
  if (s.pass == plan::Pass::kForward) {
    kernels::MaskedSoftmax<T>(batch, queries, s.columns, scale, {.causal = s.causal}, o.In(0), o.Out(0));
  } else {
    kernels::MaskedSoftmaxBackward<T>(batch, queries, s.columns, scale, o.In(1), o.In(0), o.Out(0));
  }
}

#define ISO_ATTENTION(T)                                                           \
  template void ComputeAttention<T>(const plan::Attention&, const Operands<T>&);   \
  template void ComputeAttentionProduct<T>(const plan::Gemm&, const Operands<T>&); \
  template void ComputeSoftmax<T>(const plan::Softmax&, const Operands<T>&);
ISO_ATTENTION(float)
ISO_ATTENTION(double)

}  // namespace isochrone::executor
