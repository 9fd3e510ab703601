#include "costmodel/recurrent.h"

#include <cmath>

namespace isochrone::costmodel {

namespace {

constexpr double kScanRate = 0.35;     // of the GEMM rate; assumed
constexpr double kScanBackward = 2.5;  // flops and bytes of the backward scan over the forward one
constexpr int kScanKernels = 5;        // states, passing, output and two small ones

MixedPrice FromGemm(const GemmPrice& price, double times) {
  return {times * price.total, times * price.compute, times * price.memory, times * price.launch,
          static_cast<int>(times)};
}

MixedPrice Sum(const MixedPrice& a, const MixedPrice& b) {
  return {a.total + b.total, a.compute + b.compute, a.memory + b.memory, a.launch + b.launch, a.kernels + b.kernels};
}

double Gates(plan::RecurrentKind kind) {
  switch (kind) {
    case plan::RecurrentKind::kRnn:
      return 1;
    case plan::RecurrentKind::kGru:
      return 3;
    case plan::RecurrentKind::kLstm:
      return 4;
  }
  return 1;
}

}  // namespace

MixedPrice PriceOf(const plan::Scan& op, const plan::Gpu& gpu, const EfficiencyProfile& profile) {
  const auto tokens = static_cast<double>(op.batch * op.length), heads = static_cast<double>(op.heads);
  const auto q = static_cast<double>(op.chunk), n = static_cast<double>(op.state), p = static_cast<double>(op.head_dim);
  const auto groups = static_cast<double>(op.groups);
  const double factor = op.pass == plan::Pass::kForward ? 1 : kScanBackward;
  const double flops = tokens * (2 * q * n * groups + heads * (2 * q * p + 4 * n * p)) * factor;
  const double states = tokens / q * heads * n * p * 2 * 4;  // one per chunk and head, fp32, written and read
  const double bytes =
      (tokens * (2 * heads * p + 2 * groups * n) * plan::SizeOf(op.dtype).value + tokens * heads * 4 + states) * factor;
  MixedPrice price;
  price.kernels = op.pass == plan::Pass::kForward ? kScanKernels : 2 * kScanKernels;
  price.compute = Flops(flops) / (kScanRate * CurveOf(profile, op.dtype).rate_over_peak * PeakRate(gpu, op.dtype));
  price.memory = Bytes(bytes) / (profile.memory.reduction_over_peak * gpu.memory_bandwidth);
  price.launch = price.kernels * profile.memory.launch;
  price.total = Max(price.compute, price.memory) + price.launch;
  return price;
}

MixedPrice PriceOf(const plan::Convolution& op, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                   const GemmModel& gemm) {
  const bool forward = op.pass == plan::Pass::kForward;
  const Bytes element = plan::SizeOf(op.dtype);
  const auto channels = static_cast<double>(op.channels_in);
  if (op.channels_out == 0) {
    MixedPrice price;
    const double cells = static_cast<double>(op.batch * op.height * op.width) * channels;
    price.memory =
        (forward ? 2.0 : 4.0) * cells * element / (profile.memory.elementwise_over_peak * gpu.memory_bandwidth);
    price.launch = profile.memory.launch;
    price.total = price.memory + price.launch;
    return price;
  }
  const double rows = static_cast<double>(op.batch) *
                      std::ceil(static_cast<double>(op.height) / static_cast<double>(op.stride_height)) *
                      std::ceil(static_cast<double>(op.width) / static_cast<double>(op.stride_width));
  const double depth = channels * static_cast<double>(op.kernel_height * op.kernel_width);
  const auto out = static_cast<double>(op.channels_out);
  const auto product = [&](double m, double n, double k) {
    return FromGemm(gemm.Price(GemmShape{.m = m, .n = n, .k = k, .element = element, .output = element}), 1);
  };
  if (forward) return product(rows, out, depth);
  return Sum(product(rows, depth, out), product(out, depth, rows));
}

MixedPrice PriceOf(const plan::Recurrent& op, const GemmModel& gemm) {
  const Bytes element = plan::SizeOf(op.dtype);
  const auto batch = static_cast<double>(op.batch), hidden = static_cast<double>(op.hidden);
  const double gates = Gates(op.kind) * hidden, steps = static_cast<double>(op.steps) * (op.bidirectional ? 2 : 1);
  const auto product = [&](double m, double n, double k) {
    return gemm.Price(GemmShape{.m = m, .n = n, .k = k, .element = element, .output = element});
  };
  if (op.pass == plan::Pass::kForward) return FromGemm(product(batch, gates, hidden), steps);
  const double directions = op.bidirectional ? 2 : 1;
  return Sum(FromGemm(product(batch, hidden, gates), steps),
             FromGemm(product(hidden, gates, batch * static_cast<double>(op.steps)), directions));
}

}  // namespace isochrone::costmodel
