#include "costmodel/elementwise.h"

namespace isochrone::costmodel {

namespace {

StreamPrice Stream(Bytes traffic, double over_peak, const plan::Gpu& gpu, const MemoryCurve& curve, int kernels = 1) {
  StreamPrice price;
  price.traffic = traffic;
  price.bandwidth = over_peak * gpu.memory_bandwidth;
  price.kernels = kernels;
  price.memory = traffic / price.bandwidth;
  price.launch = kernels * curve.launch;
  price.total = price.memory + price.launch;
  return price;
}

/// Random numbers of a multiprocessor in a cycle, by 108 of them at 1.41 GHz (elementwise.h).
constexpr double kDrawnPerCycle = 1.56;

double Cells(std::int64_t rows, std::int64_t columns) {
  return static_cast<double>(rows) * static_cast<double>(columns);
}

}  // namespace

StreamPrice PriceOf(const plan::Elementwise& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  StreamPrice price = Stream(op.read + op.written, curve.elementwise_over_peak, gpu, curve);
  if (!op.draws || gpu.multiprocessors == 0) return price;
  price.random = Seconds(Cells(op.rows, op.columns) / (kDrawnPerCycle * gpu.multiprocessors * gpu.boost_clock_hz));
  price.total = Max(price.memory, price.random) + price.launch;
  return price;
}

StreamPrice PriceOf(const plan::Softmax& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  const Bytes once = Cells(op.rows, op.columns) * plan::SizeOf(op.dtype);
  const bool forward = op.pass == plan::Pass::kForward;
  if (!op.fused) {
    const double passes = (forward ? 2.0 : 3.0) + 4;
    return Stream(passes * once, curve.reduction_over_peak, gpu, curve, 3);
  }
  const double passes = forward ? (op.causal ? 1.5 : 2.0) : (op.causal ? 2.0 : 3.0);
  return Stream(passes * once, curve.reduction_over_peak, gpu, curve);
}

StreamPrice PriceOf(const plan::Normalization& op, const plan::Gpu& gpu, const MemoryCurve& curve, bool eager) {
  const Bytes once = Cells(op.rows, op.columns) * plan::SizeOf(op.dtype);
  const bool forward = op.pass == plan::Pass::kForward;
  if (eager && op.kind == plan::NormKind::kRms) {
    const double bytes = forward ? 36 : 76;  // an element, whatever its format
    return Stream(Bytes(bytes * Cells(op.rows, op.columns)), curve.elementwise_over_peak, gpu, curve, forward ? 6 : 11);
  }
  return Stream((forward ? 2.0 : 4.0) * once, curve.reduction_over_peak, gpu, curve, forward ? 1 : 2);
}

StreamPrice PriceOf(const plan::Embedding& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  const Bytes rows = Cells(op.tokens, op.hidden) * plan::SizeOf(op.dtype);
  if (op.pass == plan::Pass::kForward) return Stream(2.0 * rows, curve.scatter_over_peak, gpu, curve);
  const Bytes dense = Cells(op.rows, op.hidden) * plan::SizeOf(op.dtype);
  StreamPrice price = Stream(3.0 * rows, curve.scatter_over_peak, gpu, curve, 2);
  const Seconds clear = dense / (curve.elementwise_over_peak * gpu.memory_bandwidth);
  price.traffic += dense;
  price.memory += clear;
  price.total += clear;
  price.bandwidth = price.traffic / price.memory;
  return price;
}

StreamPrice PriceOf(const plan::CrossEntropy& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  const double cells = Cells(op.tokens, op.columns);
  const bool forward = op.pass == plan::Pass::kForward;
  if (op.fused) {
    return Stream((forward ? 3 : 2) * cells * plan::SizeOf(op.dtype), curve.reduction_over_peak, gpu, curve);
  }
  return Stream(Bytes(cells * (forward ? 32 : 14)), curve.elementwise_over_peak, gpu, curve, forward ? 8 : 3);
}

StreamPrice PriceOf(const plan::OptimizerUpdate& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  return Stream(Bytes(op.parameters * op.bytes_per_parameter), curve.optimizer_over_peak, gpu, curve);
}

StreamPrice PriceOf(const plan::GradientNorm& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  return Stream(op.bytes, curve.optimizer_over_peak, gpu, curve);
}

StreamPrice PriceOf(const plan::Route& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  // softmax, top-k, one-hot map and counts, all in fp32 over (tokens, experts); backward mirrors softmax and top-k
  const double cells = Cells(op.tokens, op.experts);
  const bool forward = op.pass == plan::Pass::kForward;
  return Stream(Bytes(cells * (forward ? 24 : 12)), curve.reduction_over_peak, gpu, curve, forward ? 6 : 3);
}

StreamPrice PriceOf(const plan::Permute& op, const plan::Gpu& gpu, const MemoryCurve& curve) {
  const double once = op.rows * static_cast<double>(op.hidden) * plan::SizeOf(op.dtype).value;
  return Stream(Bytes(2 * once), curve.scatter_over_peak, gpu, curve);
}

}  // namespace isochrone::costmodel
