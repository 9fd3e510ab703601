// Ops that pass once over memory, on the device: activations, dropout, sums, rotary positions.
#include <algorithm>

#include "executor/cuda/device_rank.h"
#include "executor/operands.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;
using plan::ElementwiseKind;

}  // namespace

template <class T>
void DeviceRank::RunDropout(const plan::Elementwise& e, const Operands& o, bool backward) {
  const double rate = scenario_.model.dropout;
  const bool residual = !backward && e.kind == ElementwiseKind::kBiasDropoutAdd;
  const bool biased = residual && o.in.size() > 2;
  const T *x = o.In<T>(0), *bias = biased ? o.In<T>(1) : nullptr, *add = residual ? o.In<T>(biased ? 2 : 1) : nullptr;
  T* out = o.Out<T>(0);
  const std::uint64_t seed = options_.seed, sequence = o.sequence;
  ForEachShard(positions_, o.rows, scenario_.model.heads, e, o.OutBuffer(0).shape,
               [&](Index at, const kernels::Shard& shard) {
                 RunKernels(o.op->name, o.in, {o.out.at(0)}, [=](Stream s) {
                   on_device::Dropout<T>(s, seed, sequence, shard, rate, x + at, bias,
                                         add != nullptr ? add + at : nullptr, out + at);
                 });
               });
}

template <class T>
void DeviceRank::RunRope(const plan::Elementwise& e, const Operands& o, bool backward) {
  const plan::Model& m = scenario_.model;
  const Index S = positions_.Local(), tp = plan_.layout.tp, query = m.heads / tp, key = m.kv_heads / tp, D = m.head_dim;
  const Index sequences = e.rows / S;
  CopyOn(o.out.at(0), o.in.at(0), static_cast<std::size_t>(e.rows * e.columns) * sizeof(T));
  const float *cosine = cosine_->As<float>(), *sine = sine_->As<float>();
  T* x = o.Out<T>(0);
  RunKernels(o.op->name, {cosine_.get(), sine_.get()}, {o.out.at(0)}, [=](Stream s) {
    const auto rotate = backward ? on_device::RopeBackward<T> : on_device::Rope<T>;
    rotate(s, sequences, S, query + key, D, (query + 2 * key) * D, cosine, sine, x);
  });
}

/// This tensor rank's part of rows that all of them hold; backward its own rows among zeros.
template <class T>
void DeviceRank::RunRowCut(const plan::Elementwise& e, const Operands& o) {
  const Index n = e.rows * e.columns, in = static_cast<Index>(o.InBuffer(0).Elements());
  const bool cuts = e.pass == plan::Pass::kForward || in >= n;
  const Index part = cuts ? n : in, at = part * at_.tp;
  if (!cuts) ZeroOn(o.out.at(0));
  CopyColumns<T>(1, part, {o.in.at(0), cuts ? at : 0, 0}, {o.out.at(0), cuts ? 0 : at, 0});
}

template <class T>
void DeviceRank::RunElementwise(const plan::Elementwise& e, const Operands& o) {
  if (o.op->name == "experts.activation") return RunWeightedActivation<T>(e, o);
  if (e.kind == ElementwiseKind::kCopy) return RunRowCut<T>(e, o);
  if (e.pass == plan::Pass::kBackward) return RunElementwiseBackward<T>(e, o);
  const Index rows = e.rows, columns = e.columns, n = rows * columns;
  const T *x = o.In<T>(0), *second = o.in.size() > 1 ? o.In<T>(1) : nullptr;
  T* out = o.Out<T>(0);
  switch (e.kind) {
    case ElementwiseKind::kGelu:
    case ElementwiseKind::kBiasGelu:
    case ElementwiseKind::kSquaredRelu:
    case ElementwiseKind::kSilu: {
      const kernels::Activation f = ActivationOf(e.kind);
      return RunKernels(o.op->name, o.in, o.out,
                        [=](Stream s) { on_device::Activate<T>(s, f, rows, columns, x, second, out); });
    }
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu: {
      const kernels::Gate f = GateOf(e.kind);
      return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
        on_device::GatedActivate<T>(s, f, rows, columns, 2 * columns, x, x + columns, nullptr, nullptr, out);
      });
    }
    case ElementwiseKind::kDropout:
    case ElementwiseKind::kBiasDropoutAdd:
      return RunDropout<T>(e, o, false);
    case ElementwiseKind::kAdd: {
      if (o.in.size() == 4) return MergeResults<T>(o);
      if (o.InBuffer(1).kind != plan::BufferKind::kParameter)
        return RunKernels(o.op->name, o.in, o.out, [=](Stream s) { on_device::Add<T>(s, n, x, second, out); });
      CopyOn(o.out.at(0), o.in.at(0), static_cast<std::size_t>(n) * sizeof(T));
      return positions_.ForEachRun(o.rows.first_row, rows, [&](Index row, Index length, Index, Index position) {
        RunKernels(o.op->name, {o.in.at(1)}, {o.out.at(0)}, [=](Stream s) {
          on_device::AddPositions<T>(s, 1, length, columns, position, second, out + row * columns);
        });
      });
    }
    case ElementwiseKind::kRope:
      return RunRope<T>(e, o, false);
    default:
      break;
  }
  Missing(o, plan::NameOf(e.kind));
}

template <class T>
void DeviceRank::RunElementwiseBackward(const plan::Elementwise& e, const Operands& o) {
  const Index rows = e.rows, columns = e.columns, n = rows * columns;
  const T *dout = o.In<T>(0), *x = o.in.size() > 1 ? o.In<T>(1) : nullptr;
  T* dx = o.Out<T>(0);
  switch (e.kind) {
    case ElementwiseKind::kGelu:
    case ElementwiseKind::kBiasGelu:
    case ElementwiseKind::kSquaredRelu:
    case ElementwiseKind::kSilu: {
      const kernels::Activation f = ActivationOf(e.kind);
      const T* bias = o.in.size() > 2 ? o.In<T>(2) : nullptr;
      return RunKernels(o.op->name, o.in, o.out,
                        [=](Stream s) { on_device::ActivateBackward<T>(s, f, rows, columns, x, bias, dout, dx); });
    }
    case ElementwiseKind::kSwiglu:
    case ElementwiseKind::kGeglu: {
      const kernels::Gate f = GateOf(e.kind);
      return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
        on_device::GatedActivateBackward<T>(s, f, rows, columns, 2 * columns, x, x + columns, nullptr, nullptr, dout,
                                            dx, dx + columns);
      });
    }
    case ElementwiseKind::kDropout:
    case ElementwiseKind::kBiasDropoutAdd:
      return RunDropout<T>(e, o, true);
    case ElementwiseKind::kBias: {
      float* sums = o.Out<float>(0);
      if (o.OutBuffer(0).shape.size() == 1)
        return RunKernels(o.op->name, o.in, o.out,
                          [=](Stream s) { on_device::BiasGradient<T>(s, rows, columns, dout, sums); });
      return positions_.ForEachRun(o.rows.first_row, rows, [&](Index row, Index length, Index, Index position) {
        RunKernels(o.op->name, {o.in.at(0)}, {o.out.at(0)}, [=](Stream s) {
          on_device::AddPositionsBackward<T>(s, 1, length, columns, position, dout + row * columns, sums);
        });
      });
    }
    case ElementwiseKind::kAdd:
      return RunKernels(o.op->name, o.in, o.out, [=](Stream s) { on_device::Add<T>(s, n, dout, x, dx); });
    case ElementwiseKind::kRope:
      return RunRope<T>(e, o, true);
    default:
      break;
  }
  Missing(o, std::string("the gradient of ") + plan::NameOf(e.kind));
}

template void DeviceRank::RunElementwise<float>(const plan::Elementwise&, const Operands&);
template void DeviceRank::RunElementwise<kernels::Bf16>(const plan::Elementwise&, const Operands&);
template void DeviceRank::RunElementwise<kernels::Fp16>(const plan::Elementwise&, const Operands&);

}  // namespace isochrone::executor::cuda
