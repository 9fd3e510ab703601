#include "plan/inference/expert_ops.h"

#include <algorithm>
#include <cmath>

namespace isochrone::plan {
namespace {

class Appender {
 public:
  Appender(const LayerContext& context, InferenceLayer& layer)
      : c_(context), m_(*context.model), layer_(layer), element_(SizeOf(context.storage)) {}

  void All() {
    const MoeSpec& moe = *m_.moe;
    const double T = static_cast<double>(c_.Tokens()), k = moe.topk;
    Add("mlp_norm",
        Normalization{.kind = m_.normalization, .rows = c_.Tokens(), .columns = m_.hidden, .dtype = c_.storage});
    Product("router", moe.experts, m_.hidden, c_.storage);
    Add("route", Route{.tokens = c_.Tokens(), .experts = moe.experts, .topk = moe.topk});
    const double rows = T * k / c_.layout.ep;
    Add("dispatch", Permute{.rows = rows, .hidden = m_.hidden, .topk = moe.topk, .dtype = c_.storage});
    Exchange("dispatch_exchange", T * k);
    Experts(rows);
    Exchange("return_exchange", T * k);
    Add("combine", Permute{.restore = true, .rows = rows, .hidden = m_.hidden, .topk = moe.topk, .dtype = c_.storage});
    if (moe.shared_experts > 0) Shared(moe.shared_ffn / c_.layout.tp);
    if (c_.layout.tp > 1) Reduce("mlp_reduce");
    Elementwise add;
    add.kind = ElementwiseKind::kAdd, add.rows = c_.Tokens(), add.columns = m_.hidden;
    add.read = 2 * Size(m_.hidden), add.written = Size(m_.hidden);
    Add("mlp_add", add);
    Parameters(static_cast<double>(m_.hidden), 0);
  }

 private:
  Bytes Size(std::int64_t columns, double rows = -1) const {
    return (rows < 0 ? static_cast<double>(c_.Tokens()) : rows) * static_cast<double>(columns) * element_;
  }
  void Add(const char* name, OpKind kind, Stream stream = Stream::kCompute) {
    layer_.ops.push_back({.name = name, .stream = stream, .kind = std::move(kind), .in = {}, .out = {}, .after = {}});
  }
  void Parameters(double vectors, double matrices) {
    layer_.vectors += vectors;
    layer_.parameters += vectors + matrices;
  }
  void Product(const char* name, std::int64_t n, std::int64_t k, Dtype dtype) {
    Add(name, Gemm{.m = c_.Tokens(), .n = n, .k = k, .dtype = dtype, .output = c_.storage});
    Parameters(0, static_cast<double>(n * k));
  }
  void Exchange(const char* name, double rows) {
    if (c_.layout.ep == 1) return;
    // Every rank holds all tokens of its tensor group, so each sends its share of the rows.
    const Bytes bytes = Size(m_.hidden, rows / c_.layout.tp);
    Add(name,
        Collective{.kind = CollectiveKind::kAllToAll, .group = Group::kExpert, .bytes = bytes, .dtype = c_.storage},
        Stream::kExpert);
  }
  void Reduce(const char* name) {
    Add(name,
        Collective{
            .kind = CollectiveKind::kAllReduce, .group = Group::kTensor, .bytes = Size(m_.hidden), .dtype = c_.storage},
        Stream::kTensor);
  }
  void Activation(const char* name, double rows, std::int64_t width, bool gated, ElementwiseKind kind) {
    Elementwise op;
    op.kind = kind, op.rows = static_cast<std::int64_t>(std::ceil(rows)), op.columns = width;
    op.read = Size(gated ? 2 * width : width, rows), op.written = Size(width, rows), op.flops_per_element = 9;
    Add(name, op);
  }
  void Experts(double rows) {
    const MoeSpec& moe = *m_.moe;
    const auto [kind, gated] = ActivationOf(m_);
    const std::int64_t width = moe.ffn / c_.layout.etp, up = gated ? 2 * width : width;
    const double local = static_cast<double>(moe.experts) / c_.layout.ep;
    const double touched = std::max(1.0, TouchedExperts(moe, static_cast<double>(c_.Tokens())) / c_.layout.ep);
    const auto experts = static_cast<std::int64_t>(std::ceil(std::min(touched, local)));
    GroupedGemm product{
        .experts = experts, .rows = rows, .n = up, .k = m_.hidden, .dtype = c_.multiply, .output = c_.storage};
    product.rows_fullest = rows / static_cast<double>(experts);
    Add("experts.fc1", product);
    Activation("experts.activation", rows, width, gated,
               kind == ElementwiseKind::kBiasGelu ? ElementwiseKind::kGelu : kind);
    product.n = m_.hidden, product.k = width;
    Add("experts.fc2", product);
    Parameters(0, local * static_cast<double>((up + width) * m_.hidden));
    layer_.workspace = Max(layer_.workspace, Size(up + width + m_.hidden, rows));
  }
  void Shared(std::int64_t width) {
    const auto [kind, gated] = ActivationOf(m_);
    Product("shared.fc1", gated ? 2 * width : width, m_.hidden, c_.multiply);
    Activation("shared.activation", static_cast<double>(c_.Tokens()), width, gated, kind);
    Product("shared.fc2", m_.hidden, width, c_.multiply);
  }

  const LayerContext& c_;
  const Model& m_;
  InferenceLayer& layer_;
  Bytes element_;
};

}  // namespace

double TouchedExperts(const MoeSpec& moe, double tokens) {
  const double share = static_cast<double>(moe.topk) / moe.experts;
  return moe.experts * (1 - std::pow(1 - share, tokens));
}

void AppendExperts(const LayerContext& context, InferenceLayer& layer) { Appender(context, layer).All(); }

}  // namespace isochrone::plan
