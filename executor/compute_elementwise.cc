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

/// Calls body(row, rows, sequence of the batch, position) for every run of positions in this rank's rows.
template <class T, class Body>
void ForEachRun(const Operands<T>& o, Index rows, Body body) {
  o.settings->positions.ForEachRun(o.rows.first_row, rows,
                                   [&](Index row, Index length, Index sequence, Index position) {
                                     body(row, length, o.rows.first_sequence + sequence, position);
                                   });
}

template <class T, class Body>
void ForEachShard(const Operands<T>& o, const plan::Elementwise& e, Body body) {
  executor::ForEachShard(o.settings->positions, o.rows, o.settings->model->heads, e, o.OutBuffer(0).shape, body);
}

template <class T>
void DropoutForward(const plan::Elementwise& e, const Operands<T>& o, const T* bias, const T* residual) {
  ForEachShard(o, e, [&](Index at, const kernels::Shard& shard) {
    kernels::Dropout<T>(o.settings->seed, o.stream, shard, o.settings->model->dropout, o.In(0) + at, bias,
                        residual ? residual + at : nullptr, o.Out(0) + at);
  });
}

template <class T>
void DropoutGradient(const plan::Elementwise& e, const Operands<T>& o) {
  ForEachShard(o, e, [&](Index at, const kernels::Shard& shard) {
    kernels::DropoutBackward<T>(o.settings->seed, o.stream, shard, o.settings->model->dropout, o.In(0) + at,
                                o.Out(0) + at);
  });
}

template <class T>
void RotaryInPlace(const Operands<T>& o, Index tokens, T* qkv, bool backward) {
  const plan::Model& m = *o.settings->model;
  const Index S = o.settings->positions.Local(), query = m.heads / o.rows.tensor_size,
              key = m.kv_heads / o.rows.tensor_size;
  const auto rotate = backward ? kernels::RopeBackward<T> : kernels::Rope<T>;
  rotate(tokens / S, S, query + key, m.head_dim, (query + 2 * key) * m.head_dim, o.settings->cosine.data(),
         o.settings->sine.data(), qkv);
}

/// body(first element, rows) for the parts that the rank's threads take.
template <class T, class Body>
void SplitRows(const plan::Elementwise& e, const Operands<T>& o, Body body) {
  o.workers->Split(e.rows, LeastRows(e.columns),
                   [&](Index begin, Index end, int) { body(begin * e.columns, end - begin); });
}

template <class T>
void SplitAdd(const plan::Elementwise& e, const Operands<T>& o, const T* a, const T* b) {
  SplitRows<T>(e, o, [&](Index at, Index rows) { kernels::Add<T>(rows * e.columns, a + at, b + at, o.Out(0) + at); });
}

template <class T>
void Forward(const plan::Elementwise& e, const Operands<T>& o) {
  const Index n = e.rows * e.columns;
  switch (e.kind) {
    case ElementwiseKind::kGelu:
    case ElementwiseKind::kBiasGelu:
    case ElementwiseKind::kSquaredRelu:
    case ElementwiseKind::kSilu:
      return SplitRows<T>(e, o, [&](Index at, Index rows) {
        kernels::Activate<T>(ActivationOf(e.kind), rows, e.columns, o.In(0) + at, o.in.size() > 1 ? o.In(1) : nullptr,
                             o.Out(0) + at);
      });
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu:
      return SplitRows<T>(e, o, [&](Index at, Index rows) {
        const T* gate = o.In(0) + 2 * at;
        kernels::GatedActivate<T>(GateOf(e.kind), rows, e.columns, 2 * e.columns, gate, gate + e.columns, nullptr,
                                  nullptr, o.Out(0) + at);
      });
    case ElementwiseKind::kDropout:
      return DropoutForward<T>(e, o, nullptr, nullptr);
    case ElementwiseKind::kBiasDropoutAdd: {
      const bool bias = o.in.size() > 2;
      if (o.settings->model->dropout > 0) return DropoutForward<T>(e, o, bias ? o.In(1) : nullptr, o.In(bias ? 2 : 1));
      return SplitRows<T>(e, o, [&](Index at, Index rows) {
        kernels::AddBias<T>(rows, e.columns, o.In(0) + at, o.In(1), o.Out(0) + at);
        kernels::Add<T>(rows * e.columns, o.Out(0) + at, o.In(2) + at, o.Out(0) + at);
      });
    }
    case ElementwiseKind::kCopy: {  // this tensor rank's part of rows that all of them hold
      const Index first = o.rows.tensor_rank * n;
      std::memcpy(o.Out(0), o.In(0) + first, static_cast<std::size_t>(n) * sizeof(T));
      return;
    }
    case ElementwiseKind::kAdd: {
      if (o.in.size() == 4) return ComputeAttentionMerge<T>(o);
      if (o.InBuffer(1).kind != plan::BufferKind::kParameter) return SplitAdd<T>(e, o, o.In(0), o.In(1));
      std::memcpy(o.Out(0), o.In(0), static_cast<std::size_t>(n) * sizeof(T));
      return ForEachRun(o, e.rows, [&](Index row, Index length, Index, Index position) {
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
      return SplitRows<T>(e, o, [&](Index at, Index rows) {
        kernels::ActivateBackward<T>(ActivationOf(e.kind), rows, e.columns, o.In(1) + at,
                                     o.in.size() > 2 ? o.In(2) : nullptr, o.In(0) + at, o.Out(0) + at);
      });
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu:
      return SplitRows<T>(e, o, [&](Index at, Index rows) {
        const T* gate = o.In(1) + 2 * at;
        T* d_gate = o.Out(0) + 2 * at;
        kernels::GatedActivateBackward<T>(GateOf(e.kind), rows, e.columns, 2 * e.columns, gate, gate + e.columns,
                                          nullptr, nullptr, o.In(0) + at, d_gate, d_gate + e.columns);
      });
    case ElementwiseKind::kDropout:
    case ElementwiseKind::kBiasDropoutAdd:
      return DropoutGradient<T>(e, o);
    case ElementwiseKind::kBias: {
      if (o.OutBuffer(0).shape.size() == 1) {
        const std::array<T*, 1> sums = {o.Out(0)};
        return SplitSums<T>(o, e.rows, e.columns, sums, [&](Index begin, Index end, const std::array<T*, 1>& mine) {
          kernels::BiasGradient<T>(end - begin, e.columns, o.In(0) + begin * e.columns, mine[0]);
        });
      }
      return ForEachRun(o, e.rows, [&](Index row, Index length, Index, Index position) {
        kernels::AddPositionsBackward<T>(1, length, e.columns, position, o.In(0) + row * e.columns, o.Out(0));
      });
    }
    case ElementwiseKind::kCopy: {
      const Index part = static_cast<Index>(o.InBuffer(0).Elements());
      if (part >= n) return Forward<T>(e, o);
      std::memset(o.Out(0), 0, static_cast<std::size_t>(n) * sizeof(T));  // own rows among zeros
      std::memcpy(o.Out(0) + o.rows.tensor_rank * part, o.In(0), static_cast<std::size_t>(part) * sizeof(T));
      return;
    }
    case ElementwiseKind::kAdd:
      return SplitAdd<T>(e, o, o.In(0), o.In(1));
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

kernels::Activation ActivationOf(ElementwiseKind kind) {
  if (kind == ElementwiseKind::kSquaredRelu) return kernels::Activation::kSquaredRelu;
  if (kind == ElementwiseKind::kSilu) return kernels::Activation::kSilu;
  return kernels::Activation::kGelu;
}

kernels::Gate GateOf(ElementwiseKind kind) {
  return kind == ElementwiseKind::kSwiglu ? kernels::Gate::kSwiGlu : kernels::Gate::kGeGlu;
}

template <class T>
void ComputeElementwise(const plan::Elementwise& e, const Operands<T>& o) {
  if (o.op->name == "gated_norm") return ComputeGatedNorm<T>(e, o);
  if (o.op->name == "experts.activation") return ComputeWeightedActivation<T>(e, o);
  e.pass == plan::Pass::kForward ? Forward(e, o) : Backward(e, o);
}

template void ComputeElementwise<float>(const plan::Elementwise&, const Operands<float>&);
template void ComputeElementwise<double>(const plan::Elementwise&, const Operands<double>&);

}  // namespace isochrone::executor
