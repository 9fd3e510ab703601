// Ops that pass once over memory: activations, dropout, sums, rotary positions.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "kernels/activation.h"
#include "kernels/bias.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/rope.h"
#include "kernels/vector.h"

namespace isochrone::executor {
namespace {

using plan::ElementwiseKind;

/// Rows of tokens cut where a sequence ends: body(first row, rows, first position).
template <class Body>
void ForEachRun(Index first_row, Index rows, Index positions, Body body) {
  for (Index row = 0; row < rows;) {
    const Index position = (first_row + row) % positions;
    const Index length = std::min(rows - row, positions - position);
    body(row, length, position);
    row += length;
  }
}

/// The shard of random numbers that an op draws: an index over the whole batch, the same at any degree. Scores
/// (B, A, S, S) are indexed by sequence, head and position, rows of tokens by sequence, position and channel.
template <class T, class Body>
void ForEachShard(const Operands<T>& o, const plan::Elementwise& e, bool scores, Body body) {
  const Index S = o.settings->positions;
  if (!scores) {
    const Index first = (o.rows.first_sequence * S + o.rows.first_row) * e.columns;
    return body(0, kernels::Shard{e.rows, e.columns, first, e.columns});
  }
  const Index heads = o.settings->model->heads, mine = heads / o.rows.tensor_size, rows = mine * S;
  for (Index b = 0; b < e.rows / rows; ++b) {
    const Index head = (o.rows.first_sequence + b) * heads + o.rows.tensor_rank * mine;
    body(b * rows * S, kernels::Shard{rows, S, head * S * S, S});
  }
}

template <class T>
void DropoutForward(const plan::Elementwise& e, const Operands<T>& o, const T* bias, const T* residual) {
  const bool scores = o.OutBuffer(0).shape.size() == 4;
  ForEachShard(o, e, scores, [&](Index at, const kernels::Shard& shard) {
    kernels::Dropout<T>(o.settings->seed, o.stream, shard, o.settings->model->dropout, o.In(0) + at, bias,
                        residual ? residual + at : nullptr, o.Out(0) + at);
  });
}

template <class T>
void DropoutGradient(const plan::Elementwise& e, const Operands<T>& o) {
  const bool scores = o.OutBuffer(0).shape.size() == 4;
  ForEachShard(o, e, scores, [&](Index at, const kernels::Shard& shard) {
    kernels::DropoutBackward<T>(o.settings->seed, o.stream, shard, o.settings->model->dropout, o.In(0) + at,
                                o.Out(0) + at);
  });
}

kernels::Activation ActivationOf(ElementwiseKind kind) {
  if (kind == ElementwiseKind::kSquaredRelu) return kernels::Activation::kSquaredRelu;
  if (kind == ElementwiseKind::kSilu) return kernels::Activation::kSilu;
  return kernels::Activation::kGelu;
}

template <class T>
void RotaryInPlace(const Operands<T>& o, Index tokens, T* qkv, bool backward) {
  const plan::Model& m = *o.settings->model;
  const Index S = o.settings->positions, query = m.heads / o.rows.tensor_size, key = m.kv_heads / o.rows.tensor_size;
  const auto rotate = backward ? kernels::RopeBackward<T> : kernels::Rope<T>;
  rotate(tokens / S, S, query + key, m.head_dim, (query + 2 * key) * m.head_dim, o.settings->cosine.data(),
         o.settings->sine.data(), qkv);
}

template <class T>
void Forward(const plan::Elementwise& e, const Operands<T>& o) {
  const Index n = e.rows * e.columns;
  switch (e.kind) {
    case ElementwiseKind::kGelu:
    case ElementwiseKind::kBiasGelu:
    case ElementwiseKind::kSquaredRelu:
    case ElementwiseKind::kSilu:
      return kernels::Activate<T>(ActivationOf(e.kind), e.rows, e.columns, o.In(0), o.in.size() > 1 ? o.In(1) : nullptr,
                                  o.Out(0));
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu:
      return kernels::GatedActivate<T>(
          e.kind == ElementwiseKind::kSwiglu ? kernels::Gate::kSwiGlu : kernels::Gate::kGeGlu, e.rows, e.columns,
          2 * e.columns, o.In(0), o.In(0) + e.columns, nullptr, nullptr, o.Out(0));
    case ElementwiseKind::kDropout:
      return DropoutForward<T>(e, o, nullptr, nullptr);
    case ElementwiseKind::kBiasDropoutAdd: {
      const bool bias = o.in.size() > 2;
      if (o.settings->model->dropout > 0) return DropoutForward<T>(e, o, bias ? o.In(1) : nullptr, o.In(bias ? 2 : 1));
      kernels::AddBias<T>(e.rows, e.columns, o.In(0), o.In(1), o.Out(0));
      return kernels::Add<T>(n, o.Out(0), o.In(2), o.Out(0));
    }
    case ElementwiseKind::kAdd: {
      if (o.InBuffer(1).kind != plan::BufferKind::kParameter) return kernels::Add<T>(n, o.In(0), o.In(1), o.Out(0));
      std::memcpy(o.Out(0), o.In(0), static_cast<std::size_t>(n) * sizeof(T));
      return ForEachRun(o.rows.first_row, e.rows, o.settings->positions, [&](Index row, Index length, Index position) {
        kernels::AddPositions<T>(1, length, e.columns, position, o.In(1), o.Out(0) + row * e.columns);
      });
    }
    case ElementwiseKind::kRope:
      std::memcpy(o.Out(0), o.In(0), static_cast<std::size_t>(n) * sizeof(T));
      return RotaryInPlace(o, e.rows, o.Out(0), false);
    default:
      break;
  }
  throw Error("op " + o.op->name, std::string("the CPU does not run ") + plan::NameOf(e.kind),
              "use an MLP of gelu, swiglu, geglu or squared_relu");
}

template <class T>
void Backward(const plan::Elementwise& e, const Operands<T>& o) {
  const Index n = e.rows * e.columns;
  switch (e.kind) {
    case ElementwiseKind::kGelu:
    case ElementwiseKind::kBiasGelu:
    case ElementwiseKind::kSquaredRelu:
    case ElementwiseKind::kSilu:
      return kernels::ActivateBackward<T>(ActivationOf(e.kind), e.rows, e.columns, o.In(1),
                                          o.in.size() > 2 ? o.In(2) : nullptr, o.In(0), o.Out(0));
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu:
      return kernels::GatedActivateBackward<T>(
          e.kind == ElementwiseKind::kSwiglu ? kernels::Gate::kSwiGlu : kernels::Gate::kGeGlu, e.rows, e.columns,
          2 * e.columns, o.In(1), o.In(1) + e.columns, nullptr, nullptr, o.In(0), o.Out(0), o.Out(0) + e.columns);
    case ElementwiseKind::kDropout:
    case ElementwiseKind::kBiasDropoutAdd:
      return DropoutGradient<T>(e, o);
    case ElementwiseKind::kBias: {
      if (o.OutBuffer(0).shape.size() == 1) return kernels::BiasGradient<T>(e.rows, e.columns, o.In(0), o.Out(0));
      return ForEachRun(o.rows.first_row, e.rows, o.settings->positions, [&](Index row, Index length, Index position) {
        kernels::AddPositionsBackward<T>(1, length, e.columns, position, o.In(0) + row * e.columns, o.Out(0));
      });
    }
    case ElementwiseKind::kAdd:
      return kernels::Add<T>(n, o.In(0), o.In(1), o.Out(0));
    case ElementwiseKind::kRope:
      std::memcpy(o.Out(0), o.In(0), static_cast<std::size_t>(n) * sizeof(T));
      return RotaryInPlace(o, e.rows, o.Out(0), true);
    default:
      break;
  }
  throw Error("op " + o.op->name, std::string("the CPU does not run the gradient of ") + plan::NameOf(e.kind),
              "use an MLP of gelu, swiglu, geglu or squared_relu");
}

}  // namespace

template <class T>
void ComputeElementwise(const plan::Elementwise& e, const Operands<T>& o) {
  e.pass == plan::Pass::kForward ? Forward(e, o) : Backward(e, o);
}

template void ComputeElementwise<float>(const plan::Elementwise&, const Operands<float>&);
template void ComputeElementwise<double>(const plan::Elementwise&, const Operands<double>&);

}  // namespace isochrone::executor
