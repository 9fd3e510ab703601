// Mixtures of experts: the router's weights, rows to expert order and back, grouped products, weighted activations.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "executor/operands.h"
#include "kernels/activation.h"
#include "kernels/grouped_gemm.h"
#include "kernels/permute.h"
#include "kernels/router.h"

namespace isochrone::executor {
namespace {

/// Rows of one run after another, from the order of arrival to that of experts; `back`: the reverse.
template <class T>
void Sort(const Routing& r, Index columns, bool back, const T* from, T* to) {
  for (const Routing::Run& run : r.runs) {
    const Index a = back ? run.to : run.from, b = back ? run.from : run.to;
    std::memcpy(to + b * columns, from + a * columns, static_cast<std::size_t>(run.rows * columns) * sizeof(T));
  }
}

/// Weighs rows or, with what they were before, gives the weights' gradient: dw[r] = x[r] . dy[r].
template <class T>
void ScaleRows(Index rows, Index columns, const T* weights, const T* x, T* y) {
  for (Index r = 0; r < rows; ++r) {
    for (Index c = 0; c < columns; ++c) y[r * columns + c] = x[r * columns + c] * weights[r];
  }
}
template <class T>
void RowProducts(Index rows, Index columns, const T* a, const T* b, T* sums) {
  for (Index r = 0; r < rows; ++r) {
    T sum = 0;
    for (Index c = 0; c < columns; ++c) sum += a[r * columns + c] * b[r * columns + c];
    sums[r] = sum;
  }
}

bool IsGated(plan::ElementwiseKind kind) {
  return kind == plan::ElementwiseKind::kSwiglu || kind == plan::ElementwiseKind::kGeglu;
}

template <class T>
void Activate(plan::ElementwiseKind kind, Index rows, Index width, const T* x, T* y) {
  if (IsGated(kind)) {
    kernels::GatedActivate<T>(GateOf(kind), rows, width, 2 * width, x, x + width, nullptr, nullptr, y);
  } else {
    kernels::Activate<T>(ActivationOf(kind), rows, width, x, nullptr, y);
  }
}
template <class T>
void ActivateBackward(plan::ElementwiseKind kind, Index rows, Index width, const T* x, const T* dy, T* dx) {
  if (IsGated(kind)) {
    kernels::GatedActivateBackward<T>(GateOf(kind), rows, width, 2 * width, x, x + width, nullptr, nullptr, dy, dx,
                                      dx + width);
  } else {
    kernels::ActivateBackward<T>(ActivationOf(kind), rows, width, x, nullptr, dy, dx);
  }
}

}  // namespace

template <class T>
void ComputeRoute(const plan::Route& route, const Operands<T>& o) {
  const bool renormalise = route.topk > 1;
  const Memory::Handle probabilities = o.Workspace(route.tokens * route.experts);
  T* p = probabilities->As<T>();
  if (route.pass == plan::Pass::kForward) {
    auto* chosen = static_cast<std::int32_t*>(o.out.at(1));
    std::copy(o.routing->chosen.begin(), o.routing->chosen.end(), chosen);
    kernels::RouteChosen<T>(route.tokens, route.experts, route.topk, renormalise, o.In(0), chosen, p, o.Out(0));
    return;
  }
  const Memory::Handle weights = o.Workspace(route.tokens * route.topk);
  kernels::RouteChosen<T>(route.tokens, route.experts, route.topk, renormalise, o.In(1), o.Ids(2), p, weights->As<T>());
  kernels::RouteTopKBackward<T>(route.tokens, route.experts, route.topk, renormalise, p, o.Ids(2), weights->As<T>(),
                                o.In(0), o.Out(0));
}

template <class T>
void ComputePermute(const plan::Permute& permute, const Operands<T>& o) {
  const Routing& r = *o.routing;
  const Index H = permute.hidden, k = permute.topk, assignments = static_cast<Index>(r.row_of.size());
  const Index tokens = assignments / k;
  const bool back = permute.pass == plan::Pass::kBackward;
  if (permute.restore) {
    back ? kernels::Permute<T>(tokens, k, H, r.row_of.data(), o.In(0), o.Out(0))
         : kernels::PermuteBackward<T>(tokens, k, H, r.row_of.data(), o.In(0), o.Out(0));
    return;
  }
  if (o.op->name.find("_sort") != std::string::npos) {  // the way back from the experts undoes the sort
    const bool undo = (o.op->name == "return_sort") != back;
    Sort<T>(r, H, undo, o.In(0), o.Out(0));
    if (o.out.size() > 1) Sort<T>(r, 1, undo, o.In(1), o.Out(1));
    return;
  }
  back ? kernels::PermuteBackward<T>(tokens, k, H, r.row_of.data(), o.In(0), o.Out(0))
       : kernels::Permute<T>(tokens, k, H, r.row_of.data(), o.In(0), o.Out(0));
  for (Index i = 0; i < assignments; ++i) {
    const Index row = r.row_of[static_cast<std::size_t>(i)];
    if (back) o.Out(1)[i] = row < 0 ? T(0) : o.In(1)[row];
    else if (row >= 0) o.Out(1)[row] = o.In(1)[i];
  }
}

template <class T>
void ComputeGrouped(const plan::GroupedGemm& g, const Operands<T>& o) {
  const Index* offsets = o.routing->offsets.data();
  if (g.weight_gradient) {
    return kernels::GroupedGemmGradient<T>(g.experts, offsets, g.n, g.k, o.In(0), o.In(1), o.Out(0));
  }
  const kernels::Transpose form = o.backward ? kernels::Transpose::kNo : kernels::Transpose::kYes;
  kernels::GroupedGemm<T>(form, g.experts, offsets, g.n, g.k, o.In(0), o.In(1), o.Out(0));
}

template <class T>
void ComputeWeightedActivation(const plan::Elementwise& e, const Operands<T>& o) {
  const Index rows = o.routing->Held(), width = e.columns;
  if (e.pass == plan::Pass::kForward) {
    Activate<T>(e.kind, rows, width, o.In(0), o.Out(0));
    return ScaleRows<T>(rows, width, o.In(1), o.Out(0), o.Out(0));
  }
  const T *dy = o.In(0), *x = o.In(1), *weights = o.In(2);
  const Memory::Handle workspace = o.Workspace(rows * width);
  T* y = workspace->As<T>();
  Activate<T>(e.kind, rows, width, x, y);
  RowProducts<T>(rows, width, y, dy, o.Out(1));
  ScaleRows<T>(rows, width, weights, dy, y);
  ActivateBackward<T>(e.kind, rows, width, x, y, o.Out(0));
}

#define ISO_EXPERTS(T)                                                           \
  template void ComputeRoute<T>(const plan::Route&, const Operands<T>&);         \
  template void ComputePermute<T>(const plan::Permute&, const Operands<T>&);     \
  template void ComputeGrouped<T>(const plan::GroupedGemm&, const Operands<T>&); \
  template void ComputeWeightedActivation<T>(const plan::Elementwise&, const Operands<T>&);
ISO_EXPERTS(float)
ISO_EXPERTS(double)

}  // namespace isochrone::executor
