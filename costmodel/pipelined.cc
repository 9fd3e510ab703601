#include "costmodel/pipelined.h"

#include <algorithm>
#include <variant>

namespace isochrone::costmodel {
namespace {

constexpr int kNone = -1;

bool IsTensor(const plan::Op& op, plan::CollectiveKind kind) {
  const auto* c = std::get_if<plan::Collective>(&op.kind);
  return c != nullptr && c->group == plan::Group::kTensor && c->kind == kind;
}

bool IsProduct(const plan::Op& op, std::initializer_list<plan::GemmRole> roles) {
  const auto* g = std::get_if<plan::Gemm>(&op.kind);
  return g != nullptr && std::find(roles.begin(), roles.end(), g->role) != roles.end();
}

bool IsCast(const plan::Op& op) {
  const auto* e = std::get_if<plan::Elementwise>(&op.kind);
  return e != nullptr && e->kind == plan::ElementwiseKind::kCast;
}

bool Has(const std::vector<int>& buffers, int buffer) {
  return std::find(buffers.begin(), buffers.end(), buffer) != buffers.end();
}

/// The product that reads what op `i` gathers, itself or narrowed; kNone where the first reader is no such product.
int Reader(const std::vector<plan::Op>& ops, std::size_t i) {
  int buffer = ops[i].out.front();
  for (std::size_t j = i + 1; j < ops.size(); ++j) {
    if (!Has(ops[j].in, buffer)) continue;
    if (IsProduct(ops[j], {plan::GemmRole::kLinear, plan::GemmRole::kLinearGradInput})) return static_cast<int>(j);
    if (!IsCast(ops[j])) return kNone;
    buffer = ops[j].out.front();
  }
  return kNone;
}

int Maker(const std::vector<plan::Op>& ops, std::size_t i) {
  for (std::size_t j = i; j-- > 0;) {
    if (!Has(ops[j].out, ops[i].in.front())) continue;
    return IsProduct(ops[j], {plan::GemmRole::kLinear}) ? static_cast<int>(j) : kNone;
  }
  return kNone;
}

}  // namespace

std::vector<double> PipelinedSeconds(const std::vector<plan::Op>& ops, std::vector<double> seconds, int pieces,
                                     double slowdown) {
  std::vector<double> free = seconds;  // of each product, beside which nothing runs yet
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const bool gather = IsTensor(ops[i], plan::CollectiveKind::kAllGather);
    const int product = gather                                                   ? Reader(ops, i)
                        : IsTensor(ops[i], plan::CollectiveKind::kReduceScatter) ? Maker(ops, i)
                                                                                 : kNone;
    if (product == kNone) continue;
    double& beside = free[static_cast<std::size_t>(product)];
    const double hidden = std::min(seconds[i] * (1 - 1.0 / pieces), beside);
    seconds[i] += ((gather ? 1 : slowdown) - 2) * hidden;
    beside -= hidden;
  }
  return seconds;
}

}  // namespace isochrone::costmodel
