#include "study/shape_losses.h"

#include <algorithm>
#include <cmath>

#include "costmodel/gemm.h"

namespace isochrone::study {
namespace {

constexpr std::int64_t kBestHead = 128;

struct Efficiency {
  double alignment = 1, tile = 1, wave = 1;
};

Efficiency EfficiencyOf(const plan::Gemm& g, const plan::Gpu& gpu) {
  const auto profile = costmodel::ProfileOf(gpu);
  const costmodel::GemmPrice p = costmodel::GemmModel(gpu, costmodel::CurveOf(*profile, g.dtype), g.dtype).Price(g);
  const double m = std::ceil(static_cast<double>(g.m) / p.tile_m) * p.tile_m;
  const double n = std::ceil(static_cast<double>(g.n) / p.tile_n) * p.tile_n;
  const double u = p.tiles / gpu.multiprocessors;
  return {p.alignment, static_cast<double>(g.m) * static_cast<double>(g.n) / (m * n), std::min(1.0, u / p.load)};
}

/// The op with heads of another size, the same sum of all heads.
plan::OpKind WithBestHead(const plan::OpKind& kind, std::int64_t head) {
  plan::OpKind other = kind;
  const auto scaled = [&](std::int64_t n) { return std::max<std::int64_t>(1, n * head / kBestHead); };
  if (auto* a = std::get_if<plan::Attention>(&other)) {
    a->heads = scaled(a->heads), a->kv_heads = scaled(a->kv_heads);
    a->qk_dim = a->v_dim = kBestHead;
  } else if (auto* g = std::get_if<plan::Gemm>(&other)) {
    g->batch = scaled(g->batch);
    if (g->k == head) g->k = kBestHead;
    if (g->n == head) g->n = kBestHead;
  } else if (auto* s = std::get_if<plan::Softmax>(&other)) {
    s->rows = scaled(s->rows);
  }
  return other;
}

bool IsAttention(const plan::OpKind& kind) {
  const auto* gemm = std::get_if<plan::Gemm>(&kind);
  return std::holds_alternative<plan::Attention>(kind) || std::holds_alternative<plan::Softmax>(kind) ||
         (gemm && gemm->batch > 1);
}

double& At(ShapeLosses& losses, ShapeRule rule) { return losses[static_cast<std::size_t>(rule)]; }

}  // namespace

const char* NameOf(ShapeRule rule) {
  constexpr std::array<const char*, kShapeRules> names = {"head size", "alignment", "tile", "wave", "pipeline", "size"};
  return names[static_cast<std::size_t>(rule)];
}

const char* MeaningOf(ShapeRule rule) {
  constexpr std::array<const char*, kShapeRules> meanings = {
      "attention kernels are fastest for heads of 64 and 128",
      "rows of a matrix, each rank's share of it included, should be whole multiples of 16 bytes",
      "a product's sides should be whole multiples of the library's tile",
      "a product's tiles should fill whole waves of the multiprocessors",
      "stages should hold equal work, and microbatches should be many or pay for their number",
      "larger products hide what every layer pays: launches, maps, communication"};
  return meanings[static_cast<std::size_t>(rule)];
}

ShapeLosses LossesOf(const Prediction& p) {
  ShapeLosses losses{};
  const costmodel::Costs costs = CostsOf(p.scenario);
  const plan::Gpu& gpu = p.scenario.cluster.node.gpu;
  double known = 0;
  const auto add = [&](ShapeRule rule, double seconds) {
    At(losses, rule) += seconds;
    known += seconds;
  };
  double useful = 0;
  for (const OperationLine& line : p.operations) {
    if (line.op->stream != plan::Stream::kCompute) continue;
    const plan::OpKind& kind = line.op->kind;
    if (IsAttention(kind)) {
      const double best = costs.TimeOf(WithBestHead(kind, p.scenario.model.head_dim)).value;
      add(ShapeRule::kHeadSize, line.count * std::max(0.0, line.seconds - best));
      useful += line.count * std::min(line.seconds, best);
    } else if (const auto* gemm = std::get_if<plan::Gemm>(&kind)) {
      const Efficiency e = EfficiencyOf(*gemm, gpu);
      const double t = line.Total();
      add(ShapeRule::kAlignment, t * (1 - e.alignment));
      add(ShapeRule::kTile, t * e.alignment * (1 - e.tile));
      add(ShapeRule::kWave, t * e.alignment * e.tile * (1 - e.wave));
      useful += t * e.alignment * e.tile * e.wave;
    }
  }
  add(ShapeRule::kPipeline, p.metrics.attribution.bubble.value);
  At(losses, ShapeRule::kSize) = p.metrics.step_time.value - known - useful;
  return losses;
}

}  // namespace isochrone::study
