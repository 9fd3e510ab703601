#include "plan/op.h"

#include <type_traits>

namespace isochrone::plan {
namespace {

/// Keys that one query of (queries, keys) sees on average.
double SeenKeys(const Attention& a, bool full) {
  const double q = static_cast<double>(a.queries), k = static_cast<double>(a.keys);
  if (full || (!a.causal && a.window == 0)) return k;
  double seen = a.causal ? k - (q - 1) / 2 : k;
  if (a.window > 0 && static_cast<double>(a.window) < k) {
    const double w = static_cast<double>(a.window);
    // Queries before the window is full see 1, 2, … w keys; the others see w.
    seen = a.causal && q == k ? (w * (w + 1) / 2 + (q - w) * w) / q : w;
  }
  return seen;
}

double AttentionFlops(const Attention& a, bool full) {
  const double pairs = static_cast<double>(a.batch * a.heads * a.queries) * SeenKeys(a, full);
  const double qk = static_cast<double>(a.qk_dim), v = static_cast<double>(a.v_dim);
  // Forward: QKᵀ and PV. Backward: S again, dP, dV, dQ, dK.
  return a.pass == Pass::kForward ? 2 * pairs * (qk + v) : 2 * pairs * (3 * qk + 2 * v);
}

double ScanFlops(const Scan& s) {
  // Per chunk of c: CBᵀ (c² n per group), masked product with X (c² d per head), states in and out (2 c n d per head).
  const double tokens = static_cast<double>(s.batch * s.length), c = static_cast<double>(s.chunk);
  const double n = static_cast<double>(s.state), d = static_cast<double>(s.head_dim), h = static_cast<double>(s.heads);
  const double forward = 2 * tokens * (static_cast<double>(s.groups) * c * n + h * c * d + 2 * h * n * d);
  return s.pass == Pass::kForward ? forward : 2 * forward;
}

double ConvolutionFlops(const Convolution& c) {
  const auto left = [](std::int64_t size, std::int64_t stride) { return (size + stride - 1) / stride; };
  const double out = static_cast<double>(c.batch * left(c.height, c.stride_height) * left(c.width, c.stride_width));
  const double per_output = static_cast<double>(c.kernel_height * c.kernel_width * c.channels_in);
  const double forward = 2 * out * per_output * static_cast<double>(c.channels_out > 0 ? c.channels_out : 1);
  return c.pass == Pass::kForward ? forward : 2 * forward;
}

double RecurrentFlops(const Recurrent& r) {
  const double gates = r.kind == RecurrentKind::kRnn ? 1 : r.kind == RecurrentKind::kGru ? 3 : 4;
  const double forward = 2 * static_cast<double>(r.batch * r.steps) * static_cast<double>(r.hidden * r.hidden) * gates *
                         (r.bidirectional ? 2 : 1);
  return r.pass == Pass::kForward ? forward : 2 * forward;
}

}  // namespace

Flops MatrixFlopsOf(const Op& op, bool full_attention) {
  return Flops(std::visit(
      [&](const auto& o) -> double {
        using O = std::decay_t<decltype(o)>;
        if constexpr (std::is_same_v<O, Gemm>) {
          return 2.0 * static_cast<double>(o.batch * o.m) * static_cast<double>(o.n * o.k);
        } else if constexpr (std::is_same_v<O, GroupedGemm>) {
          return 2.0 * o.rows * static_cast<double>(o.n * o.k);
        } else if constexpr (std::is_same_v<O, Attention>) {
          return AttentionFlops(o, full_attention);
        } else if constexpr (std::is_same_v<O, Scan>) {
          return ScanFlops(o);
        } else if constexpr (std::is_same_v<O, Convolution>) {
          return ConvolutionFlops(o);
        } else if constexpr (std::is_same_v<O, Recurrent>) {
          return RecurrentFlops(o);
        } else {
          return 0;
        }
      },
      op.kind));
}

}  // namespace isochrone::plan
