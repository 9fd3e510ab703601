// Mixtures of experts on the device: the router's weights, rows to their experts' ranks, products by expert, and back.
// Which experts a token visits is the replay of executor/routing.h, so the host knows every count.
#include "executor/cuda/device_experts.h"

#include <cstring>
#include <numeric>

#include "base/error.h"
#include "executor/cuda/device_rank.h"
#include "executor/operands.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;
using plan::Group;

Index ColumnsOf(const plan::Buffer& b) { return b.shape.size() > 1 ? b.shape.back() : 1; }

std::vector<Index> SortedAt(const Routing& r) {
  std::vector<Index> at(static_cast<std::size_t>(r.Held()));
  for (const Routing::Run& run : r.runs) std::iota(at.begin() + run.from, at.begin() + run.from + run.rows, run.to);
  return at;
}

std::vector<Index> Times(std::vector<Index> counts, Index columns) {
  for (Index& n : counts) n *= columns;
  return counts;
}

}  // namespace

/// One for each microbatch, the same in every step.
void DeviceRank::PrepareRouting() {
  if (!run_.routing) return;
  const auto kind = plan::BufferKind::kWorkspace;
  for (int m = 0; m < plan_.schedule.microbatches; ++m) {
    DeviceRouting& r = routing_.emplace_back();
    r.on_host = RoutingOf(scenario_, plan_.layout, *run_.routing, rank_, plan_.schedule.microbatches, m);
    std::vector<Index> itself(static_cast<std::size_t>(r.on_host.Held()));
    std::iota(itself.begin(), itself.end(), Index{0});
    r.chosen = FromHost(kind, r.on_host.chosen, "chosen experts");
    r.row_of = FromHost(kind, r.on_host.row_of, "rows of assignments");
    r.sorted_at = FromHost(kind, SortedAt(r.on_host), "rows by expert");
    r.itself = FromHost(kind, itself, "rows");
  }
}

template <class T>
void DeviceRank::RunRoute(const plan::Route& route, const Operands& o) {
  const bool renormalise = route.topk > 1;
  const Index tokens = route.tokens, experts = route.experts, k = route.topk;
  const Handle kept = Workspace<float>(tokens * experts, "experts' probabilities");
  float* p = kept->As<float>();
  if (route.pass == plan::Pass::kForward) {
    CopyOn(o.out.at(1), o.routing->chosen.get(), o.routing->chosen->Bytes());
    const T* logits = o.In<T>(0);
    const std::int32_t* chosen = o.routing->chosen->As<std::int32_t>();
    float* weight = o.Out<float>(0);
    return RunKernels(o.op->name, {o.in.at(0), o.routing->chosen.get()}, {o.out.at(0), kept.get()}, [=](Stream s) {
      on_device::RouteChosen<T>(s, tokens, experts, k, renormalise, logits, chosen, p, weight);
    });
  }
  const Handle weights = Workspace<float>(tokens * k, "experts' weights");
  float* weight = weights->As<float>();
  const float* dweight = o.In<float>(0);
  const T* logits = o.In<T>(1);
  const std::int32_t* chosen = o.Ids(2);
  T* dlogits = o.Out<T>(0);
  RunKernels(o.op->name, o.in, {o.out.at(0), kept.get(), weights.get()}, [=](Stream s) {
    on_device::RouteChosen<T>(s, tokens, experts, k, renormalise, logits, chosen, p, weight);
    on_device::RouteTopKBackward<T>(s, tokens, experts, k, renormalise, p, chosen, weight, dweight, dlogits);
  });
}

/// Rows from `from` to where `rows` says, k copies of each; `back`: gathered from there, copies added up.
template <class T>
void DeviceRank::MoveRows(const Operands& o, bool back, Index tokens, Index k, Index columns, Block* rows,
                          std::size_t which) {
  if (tokens == 0) return;
  const Index* row_of = rows->As<Index>();
  const T* from = o.In<T>(which);
  T* to = o.Out<T>(which);
  RunKernels(o.op->name, {o.in.at(which), rows}, {o.out.at(which)}, [=](Stream s) {
    if (back) on_device::PermuteBackward<T>(s, tokens, k, columns, row_of, from, to);
    else on_device::Permute<T>(s, tokens, k, columns, row_of, from, to);
  });
}

template <class T>
void DeviceRank::RunPermute(const plan::Permute& permute, const Operands& o) {
  const DeviceRouting& r = *o.routing;
  const Index H = permute.hidden, k = permute.topk;
  const bool backward = permute.pass == plan::Pass::kBackward;
  if (permute.restore) return MoveRows<T>(o, !backward, r.Tokens(), k, H, r.row_of.get(), 0);
  if (o.op->name.find("_sort") != std::string::npos) {  // the way back from the experts undoes the sort
    const bool undo = (o.op->name == "return_sort") != backward;
    MoveRows<T>(o, undo, r.on_host.Held(), 1, H, r.sorted_at.get(), 0);
    if (o.out.size() > 1) MoveRows<float>(o, undo, r.on_host.Held(), 1, 1, r.sorted_at.get(), 1);
    return;
  }
  MoveRows<T>(o, backward, r.Tokens(), k, H, r.row_of.get(), 0);
  MoveRows<float>(o, backward, r.Assignments(), 1, 1, r.row_of.get(), 1);
}

/// A product for every expert that got rows, one after another.
template <class T>
void DeviceRank::RunGrouped(const plan::GroupedGemm& g, const Operands& o) {
  const std::vector<Index>& offsets = o.routing->on_host.offsets;
  for (Index e = 0; e < g.experts; ++e) {
    const Index first = offsets[static_cast<std::size_t>(e)], rows = offsets[static_cast<std::size_t>(e + 1)] - first;
    if (rows == 0) continue;
    Matmul m{.in = kFormatOf<T>, .out = kFormatOf<T>};
    m.a = o.In<T>(0) + first * (g.weight_gradient ? g.n : g.k);
    if (g.weight_gradient) {  // dW = dY^T X, added up in float
      m.transpose_a = true;
      m.m = g.n, m.n = g.k, m.k = rows;
      m.lda = g.n, m.ldb = m.ldc = g.k;
      m.b = o.In<T>(1) + first * g.k;
      m.c = o.Out<float>(0) + e * g.n * g.k;
      m.beta = 1;
      m.out = Format::kFloat;
    } else {  // Y = X W^T, or dX = dY W
      m.transpose_b = !o.backward;
      m.m = rows, m.n = g.n, m.k = g.k;
      m.lda = g.k, m.ldc = g.n;
      m.ldb = o.backward ? g.n : g.k;
      m.b = o.In<T>(1) + e * g.n * g.k;
      m.c = o.Out<T>(0) + first * g.n;
    }
    MultiplyOn(o.op->name, m, o.in, o.out.at(0));
  }
}

/// y[r] = weight[r] f(x[r]); backward dx = f'(x) weight dy and dweight[r] = f(x[r]) . dy[r].
template <class T>
void DeviceRank::RunWeightedActivation(const plan::Elementwise& e, const Operands& o) {
  const Index rows = o.routing->on_host.Held(), width = e.columns;
  if (rows == 0) return;
  Block* rows_of = o.routing->itself.get();
  const Index* itself = rows_of->As<Index>();
  const bool gated = e.kind == plan::ElementwiseKind::kSwiglu || e.kind == plan::ElementwiseKind::kGeglu;
  const kernels::Gate gate = GateOf(e.kind);
  const kernels::Activation curve = ActivationOf(e.kind);
  const auto activate = [=](Stream s, const T* x, T* y) {
    if (gated) on_device::GatedActivate<T>(s, gate, rows, width, 2 * width, x, x + width, nullptr, nullptr, y);
    else on_device::Activate<T>(s, curve, rows, width, x, nullptr, y);
  };
  const Handle activated = Workspace<T>(rows * width, "experts' activations");
  T* y = activated->As<T>();
  if (e.pass == plan::Pass::kForward) {
    const T* x = o.In<T>(0);
    const float* weight = o.In<float>(1);
    T* out = o.Out<T>(0);
    return RunKernels(o.op->name, {o.in.at(0), o.in.at(1), rows_of}, {o.out.at(0), activated.get()}, [=](Stream s) {
      activate(s, x, y);
      on_device::Combine<T>(s, rows, 1, width, itself, weight, y, out);
    });
  }
  const Handle weighed = Workspace<T>(rows * width, "experts' gradients");
  const T *dy = o.In<T>(0), *x = o.In<T>(1);
  const float* weight = o.In<float>(2);
  T *scaled = weighed->As<T>(), *dx = o.Out<T>(0);
  float* dweight = o.Out<float>(1);
  RunKernels(o.op->name, {o.in.at(0), o.in.at(1), o.in.at(2), rows_of},
             {o.out.at(0), o.out.at(1), activated.get(), weighed.get()}, [=](Stream s) {
               activate(s, x, y);
               on_device::CombineBackward<T>(s, rows, 1, width, itself, weight, y, dy, scaled, dweight);
               if (gated) {
                 on_device::GatedActivateBackward<T>(s, gate, rows, width, 2 * width, x, x + width, nullptr, nullptr,
                                                     scaled, dx, dx + width);
               } else {
                 on_device::ActivateBackward<T>(s, curve, rows, width, x, nullptr, scaled, dx);
               }
             });
}

/// Calls body(number of the operand, its columns, a number of its type): rows are T, the router's weights float.
template <class T, class Body>
void DeviceRank::ForEachOfRows(const Operands& o, Body body) const {
  for (std::size_t i = 0; i < o.in.size(); ++i) {
    const Index columns = ColumnsOf(o.InBuffer(i));
    if (o.InBuffer(i).shape.size() > 1) body(i, columns, T());
    else body(i, columns, float());
  }
}

/// Rows (and their weights) to the ranks of their experts, or back.
template <class T>
void DeviceRank::ExchangeRows(const Operands& o) {
  const Routing& r = o.routing->on_host;
  const bool outward = (o.op->name == "dispatch_exchange") != o.backward;
  const std::vector<Index>&leaving = outward ? r.sent : r.arriving, &arriving = outward ? r.arriving : r.sent;
  ForEachOfRows<T>(o, [&](std::size_t i, Index columns, auto zero) {
    AllToAll<decltype(zero)>(o.op->stream, Group::kExpert, Times(leaving, columns), Times(arriving, columns),
                             o.in.at(i), o.out.at(i));
  });
}

/// Expert-tensor ranks work on each other's rows: all of them gathered, or partial results of each rank's own rows
/// added up, in the order of ranks.
template <class T>
void DeviceRank::ExchangeExpertTensor(const Operands& o, bool sum) {
  const std::vector<Index>& rows = o.routing->on_host.gathered;
  const Index mine = o.routing->on_host.Arriving(), ranks = static_cast<Index>(rows.size());
  ForEachOfRows<T>(o, [&](std::size_t i, Index columns, auto zero) {
    using N = decltype(zero);
    const Index n = mine * columns;
    const std::vector<Index> own(rows.size(), n);
    if (!sum) {  // the same rows to everybody
      const Handle copies = Workspace<N>(n * ranks, "rows for every rank");
      for (Index m = 0; m < ranks; ++m) CopyColumns<N>(1, n, {o.in.at(i), 0, 0}, {copies.get(), m * n, 0});
      return AllToAll<N>(o.op->stream, Group::kExpertTensor, own, Times(rows, columns), copies.get(), o.out.at(i));
    }
    const Handle parts = Workspace<N>(n * ranks, "parts of rows");
    AllToAll<N>(o.op->stream, Group::kExpertTensor, Times(rows, columns), own, o.in.at(i), parts.get());
    if (n == 0) return;
    const N* part = parts->As<N>();
    N* to = o.Out<N>(i);
    RunKernels(o.op->name, {parts.get()}, {o.out.at(i)}, [=](Stream s) {
      on_device::Add<N>(s, n, part, part + n, to);
      for (Index m = 2; m < ranks; ++m) on_device::Add<N>(s, n, to, part + m * n, to);
    });
  });
}

#define ISO_EXPERTS(T)                                                                           \
  template void DeviceRank::RunRoute<T>(const plan::Route&, const Operands&);                    \
  template void DeviceRank::RunPermute<T>(const plan::Permute&, const Operands&);                \
  template void DeviceRank::RunGrouped<T>(const plan::GroupedGemm&, const Operands&);            \
  template void DeviceRank::RunWeightedActivation<T>(const plan::Elementwise&, const Operands&); \
  template void DeviceRank::ExchangeRows<T>(const Operands&);                                    \
  template void DeviceRank::ExchangeExpertTensor<T>(const Operands&, bool);
ISO_EXPERTS(float)
ISO_EXPERTS(kernels::Bf16)
ISO_EXPERTS(kernels::Fp16)

}  // namespace isochrone::executor::cuda
