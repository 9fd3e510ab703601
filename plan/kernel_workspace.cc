#include "plan/kernel_workspace.h"

#include <algorithm>

namespace isochrone::plan {
namespace {

/// Tiles of kernels/attention.cc.
constexpr std::int64_t kQueryTile = 64, kKeyTile = 128;

double ElementsOf(const Attention& a) {
  const std::int64_t tile = std::min(kQueryTile, a.queries) * std::min(kKeyTile, a.keys);
  return static_cast<double>(2 * tile + kQueryTile * a.qk_dim + 2 * kQueryTile + a.queries);
}

double ElementsOf(const Route& r) {
  const bool forward = r.pass == Pass::kForward;
  return static_cast<double>(r.tokens * (r.experts + (forward ? 0 : r.topk)));
}

double ElementsOf(const Scan& s) {
  const double n = static_cast<double>(std::min(s.chunk, s.length)), heads = static_cast<double>(s.heads);
  const double tokens = static_cast<double>(s.batch * s.length), states = static_cast<double>(s.state);
  const double chunks = static_cast<double>((s.length + std::min(s.chunk, s.length) - 1) / std::min(s.chunk, s.length));
  const double state = states * static_cast<double>(s.head_dim), sequences = static_cast<double>(s.batch);
  const double forward = 2 * tokens * heads + heads + sequences * heads * (chunks + 1) * state + 2 * n * n +
                         4 * n * states + state + 6 * n;
  if (s.pass == Pass::kForward) return forward;
  return forward + tokens * heads * static_cast<double>(s.head_dim) + tokens * heads + heads;
}

double ElementsOf(const Convolution& c) {
  if (c.channels_out > 0) return 0;
  const double weights = static_cast<double>(c.kernel_width * c.channels_in);
  if (c.pass == Pass::kForward) return weights;
  return 3 * weights + static_cast<double>(c.batch * c.width * c.channels_in);
}

}  // namespace

Bytes CpuKernelWorkspace(const Op& op) {
  if (const auto* attention = std::get_if<Attention>(&op.kind))
    return ElementsOf(*attention) * SizeOf(attention->dtype);
  if (const auto* scan = std::get_if<Scan>(&op.kind)) return ElementsOf(*scan) * SizeOf(scan->dtype);
  if (const auto* taps = std::get_if<Convolution>(&op.kind)) return ElementsOf(*taps) * SizeOf(taps->dtype);
  if (const auto* route = std::get_if<Route>(&op.kind)) return ElementsOf(*route) * SizeOf(Dtype::kFp32);
  const auto* activation = std::get_if<Elementwise>(&op.kind);
  if (activation == nullptr || op.name != "experts.activation" || activation->pass == Pass::kForward) return Bytes(0);
  return Bytes(activation->read.value - activation->written.value);  // it reads what it read forward, and that result
}

}  // namespace isochrone::plan
