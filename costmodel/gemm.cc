#include "costmodel/gemm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace isochrone::costmodel {

namespace {

using Shape = std::pair<int, int>;

// Tiles that the vendor's library has for each generation: one warp group at the small end, the largest that the
// register file (Ampere), two warp groups (Hopper) or a pair of multiprocessors (Blackwell) hold at the large end.
const std::vector<Shape>& TilesOf(const std::string& architecture) {
  static const std::vector<Shape> ampere = {{256, 128}, {128, 256}, {256, 64}, {64, 256}, {128, 128}, {128, 64},
                                            {64, 128},  {64, 64},   {32, 64},  {64, 32},  {16, 64}};
  static const std::vector<Shape> hopper = {{256, 128}, {128, 256}, {256, 64}, {64, 256}, {128, 192},
                                            {192, 128}, {128, 128}, {128, 64}, {64, 128}, {64, 64},
                                            {32, 64},   {64, 32},   {16, 64}};
  static const std::vector<Shape> blackwell = {{256, 256}, {256, 128}, {128, 256}, {256, 192}, {192, 256},
                                               {128, 128}, {256, 64},  {128, 64},  {64, 128},  {64, 64},
                                               {32, 64},   {64, 32},   {16, 64}};
  if (architecture == "hopper") return hopper;
  if (architecture == "blackwell") return blackwell;
  return ampere;
}

constexpr std::array<int, 7> kSplits = {1, 2, 3, 4, 6, 8, 16};
constexpr double kSplitDepth = 256;  // least k of one part
constexpr double kSplitLoad = 16;    // tiles a multiprocessor from which no split of k can pay
constexpr double kStageBytes = 64;   // k of one pipeline stage, in bytes of A
constexpr double kPartialBytes = 4;  // partial sums meet in fp32

double RoundUp(double x, double unit) { return std::ceil(x / unit) * unit; }

}  // namespace

double AlignmentOf(const plan::Gemm& gemm) {
  const double element = plan::SizeOf(gemm.dtype).value;
  const bool batched = gemm.batch > 1;
  const auto of = [batched](std::int64_t contiguous, double size) {
    const auto bytes = static_cast<std::int64_t>(static_cast<double>(contiguous) * size);
    if (bytes % 16 == 0) return 1.0;
    if (bytes % 8 == 0) return batched ? 0.10 : 0.8;
    if (bytes % 4 == 0) return batched ? 0.08 : 0.6;
    return batched ? 0.05 : 0.35;
  };
  return std::min({of(gemm.transpose_a ? gemm.m : gemm.k, element), of(gemm.transpose_b ? gemm.k : gemm.n, element),
                   of(gemm.n, plan::SizeOf(gemm.output).value)});
}

GemmModel::GemmModel(const plan::Gpu& gpu, const GemmCurve& curve, plan::Dtype dtype)
    : curve_(curve),
      multiprocessors_(gpu.multiprocessors),
      memory_(curve.memory_over_peak * gpu.memory_bandwidth.value),
      epilogue_(curve.epilogue.value),
      split_memory_(curve.split_memory_over_peak * gpu.memory_bandwidth.value),
      element_(plan::SizeOf(dtype).value) {
  const double rate = curve.rate_over_peak * PeakRate(gpu, dtype).value / multiprocessors_;
  for (const auto& [m, n] : TilesOf(gpu.architecture)) {
    const double area = static_cast<double>(m) * n;
    tiles_.push_back({m, n, Combine(2 * area / rate, (m + n) * element_ / curve.l2.value), area});
  }
}

double GemmModel::Combine(double a, double b) const {
  const double most = std::max(a, b), least = std::min(a, b);
  if (most <= 0) return 0;
  return most * std::pow(1 + std::pow(least / most, curve_.sharpness), 1 / curve_.sharpness);
}

GemmPrice GemmModel::Price(const GemmShape& s) const {
  const double cells = s.batch * s.m * s.n;
  GemmPrice best;
  best.alignment = s.alignment;
  best.traffic =
      Bytes(s.batch * (s.m * s.k + s.k * s.n) * s.element.value + cells * s.output.value * (s.accumulate ? 2 : 1));
  best.launch = curve_.launch;
  best.total = Seconds(std::numeric_limits<double>::infinity());
  const double memory = best.traffic.value / (memory_ * s.alignment);
  const double extra = s.ragged ? 0.5 : 0;  // a ragged member ends in half a tile on average
  for (const int splits : kSplits) {
    if (splits > 1 && (s.k < splits * kSplitDepth || best.load > kSplitLoad)) break;
    const double depth = RoundUp(s.k / splits, kStageBytes / element_);
    double compute = std::numeric_limits<double>::infinity(), chosen_tiles = 0, chosen_load = 0;
    const Tile* chosen = nullptr;
    for (const Tile& tile : tiles_) {
      const double rows = s.ragged ? s.m / tile.m + extra : std::ceil(s.m / tile.m);
      const double tiles = s.batch * rows * std::ceil(s.n / tile.n) * splits;
      const double u = tiles / multiprocessors_;
      const double load = u <= 1 ? 1 : u + curve_.quantisation * (std::ceil(u) - u);
      const double time =
          load * (depth * tile.step / s.alignment + curve_.prologue.value + tile.area * s.output.value / epilogue_);
      if (time < compute) compute = time, chosen = &tile, chosen_tiles = tiles, chosen_load = load;
    }
    const double split = splits == 1 ? 0 : curve_.split.value + splits * kPartialBytes * cells / split_memory_;
    const Seconds total(Combine(compute, memory) + curve_.launch.value + split);
    if (total < best.total) {
      best.total = total, best.compute = Seconds(compute), best.memory = Seconds(memory), best.split = Seconds(split);
      best.tile_m = chosen->m, best.tile_n = chosen->n, best.splits = splits;
      best.tiles = chosen_tiles, best.load = chosen_load;
    }
  }
  return best;
}

GemmPrice GemmModel::Price(const plan::Gemm& g) const {
  return Price(GemmShape{.batch = static_cast<double>(g.batch),
                         .m = static_cast<double>(g.m),
                         .n = static_cast<double>(g.n),
                         .k = static_cast<double>(g.k),
                         .element = plan::SizeOf(g.dtype),
                         .output = plan::SizeOf(g.output),
                         .accumulate = g.accumulate,
                         .alignment = AlignmentOf(g)});
}

GroupedForm GroupedFormOf(const plan::Strategy& strategy, const plan::Gpu& gpu) {
  const bool holds_all = gpu.architecture == "hopper" || gpu.architecture == "blackwell";
  return holds_all && strategy.framework.starts_with("megatron") ? GroupedForm::kOneCallEach : GroupedForm::kOneKernel;
}

GemmPrice GemmModel::Price(const plan::GroupedGemm& g, GroupedForm form) const {
  const auto experts = static_cast<double>(g.experts);
  const int calls = form == GroupedForm::kOneCallEach ? static_cast<int>(g.experts) : 1;
  GemmShape shape{.batch = experts / calls,
                  .m = g.rows / experts,
                  .n = static_cast<double>(g.n),
                  .k = static_cast<double>(g.k),
                  .element = plan::SizeOf(g.dtype),
                  .output = plan::SizeOf(g.output),
                  .ragged = true};
  if (g.weight_gradient) {  // (n × k) per expert, summed over its rows into the accumulated gradient
    shape.m = static_cast<double>(g.n), shape.n = static_cast<double>(g.k), shape.k = g.rows / experts;
    shape.accumulate = true, shape.ragged = false;
  }
  GemmPrice price = Price(shape);
  price.calls = calls;
  for (Seconds* of : {&price.total, &price.compute, &price.memory, &price.launch, &price.split}) *of *= calls;
  return price;
}

}  // namespace isochrone::costmodel
