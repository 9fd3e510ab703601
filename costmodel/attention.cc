#include "costmodel/attention.h"

#include <algorithm>
#include <cmath>

namespace isochrone::costmodel {

namespace {

constexpr double kTile = 128;         // queries (forward) or keys (backward) of one unit
constexpr double kHeadPad = 32;       // head sizes are padded to this
constexpr double kPaddedRate = 0.87;  // rate of a padded head size: guarded loads
constexpr double kFlash1 = 0.5;
constexpr double kFlash2OnHopperForward = 0.57, kFlash2OnHopperBackward = 0.62;

double Interpolate(const AttentionCurve& curve, double head) {
  if (head <= 64) return curve.rate_over_peak_64 * std::min(1.0, std::sqrt(head / 64));
  const auto between = [&](double low, double at_low, double high, double at_high) {
    return at_low + (at_high - at_low) * (head - low) / (high - low);
  };
  if (head <= 128) return between(64, curve.rate_over_peak_64, 128, curve.rate_over_peak_128);
  return between(128, curve.rate_over_peak_128, 256, curve.rate_over_peak_256 > 0 ? curve.rate_over_peak_256 : 0);
}

double GenerationFactor(FlashGeneration generation, const plan::Gpu& gpu, plan::Pass pass) {
  const bool hopper = gpu.architecture == "hopper" || gpu.architecture == "blackwell";
  const double flash2 = !hopper ? 1 : pass == plan::Pass::kForward ? kFlash2OnHopperForward : kFlash2OnHopperBackward;
  switch (generation) {
    case FlashGeneration::kFlash1:
      return kFlash1 * flash2;
    case FlashGeneration::kFlash2:
      return flash2;
    case FlashGeneration::kBest:
      return 1;
  }
  return 1;
}

/// Pairs (query, key) that a tile of kTile rows meets, divided by kTile: on average and at most. Masked tiles on the
/// diagonal are computed whole, so a causal tile meets half a tile more than its mask shows.
struct Visited {
  double mean, most;
};
Visited VisitedBy(const plan::Attention& a, bool by_queries) {
  const auto queries = static_cast<double>(a.queries), keys = static_cast<double>(a.keys);
  const double across = by_queries ? keys : queries;
  const double window = a.window > 0 ? static_cast<double>(a.window) + kTile : across;
  if (!a.causal) return {std::min(across, window), std::min(across, window)};
  const double half = by_queries ? keys - queries / 2 : queries - std::max(0.0, queries - (keys - queries)) / 2;
  return {std::min({across, half + kTile / 2, window}), std::min(across, window)};
}

}  // namespace

AttentionPrice PriceOf(const plan::Attention& a, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                       FlashGeneration generation) {
  const bool forward = a.pass == plan::Pass::kForward;
  const AttentionCurve& curve = forward ? profile.attention_forward : profile.attention_backward;
  const auto qk = static_cast<double>(a.qk_dim), v = static_cast<double>(a.v_dim);
  const double padded_qk = std::ceil(qk / kHeadPad) * kHeadPad, padded_v = std::ceil(v / kHeadPad) * kHeadPad;
  const double per_pair = forward ? 2 * (padded_qk + padded_v) : 2 * (3 * padded_qk + 2 * padded_v);
  const auto heads = static_cast<double>(a.batch * a.heads), kv_heads = static_cast<double>(a.batch * a.kv_heads);
  const auto queries = static_cast<double>(a.queries), keys = static_cast<double>(a.keys);

  AttentionPrice price;
  price.rate = Interpolate(curve, (padded_qk + padded_v) / 2) * GenerationFactor(generation, gpu, a.pass) *
               PeakRate(gpu, a.dtype);
  if (padded_qk != qk || padded_v != v) price.rate *= kPaddedRate;

  const Visited visited = VisitedBy(a, forward);
  const double units = heads * std::ceil((forward ? queries : keys) / kTile);
  const double tile_flops = kTile * per_pair;
  const double unit_rate = price.rate.value / gpu.multiprocessors;
  const double mean = curve.prologue.value + visited.mean * tile_flops / unit_rate;
  const double longest = curve.prologue.value + visited.most * tile_flops / unit_rate;
  price.flops = Flops(units * visited.mean * tile_flops);
  price.compute = Seconds(std::max(units * mean / gpu.multiprocessors, longest));

  const double element = plan::SizeOf(a.dtype).value;
  const double query_side = heads * queries * (qk + v), key_side = kv_heads * keys * (qk + v);
  // forward: q, o, k, v; backward: q, o, dO, dq and k, v, dk, dv, and dq summed in fp32
  price.traffic = Bytes(forward ? element * (query_side + key_side)
                                : element * (2 * query_side + 2 * key_side) + 8 * heads * queries * qk);
  price.memory = price.traffic / (profile.memory.elementwise_over_peak * gpu.memory_bandwidth);
  price.kernels = forward ? 1 : 3;
  price.launch = curve.launch;
  price.total = Max(price.compute, price.memory) + price.launch;
  return price;
}

}  // namespace isochrone::costmodel
