#include "costmodel/inference/power.h"

#include <algorithm>
#include <cmath>

#include "costmodel/profile.h"
#include "plan/inference/memory.h"
#include "plan/inference/step_ops.h"

namespace isochrone::costmodel {
namespace {

constexpr double kIdle = 0.2, kArithmetic = 0.75, kMemory = 0.4;
constexpr double kReached = 0.6;        // of peak, by prompts
constexpr double kMemoryClocked = 0.5;  // of what a full memory stream draws

}  // namespace

PowerDraw PowerModel::Draw(const plan::StepLoad& s, double seconds) const {
  PowerDraw draw{.idle = kIdle * limit};
  if (seconds <= 0) return draw;
  const double flops = flops_per_token * (s.prompt_tokens + s.decoded) + flops_per_pair * (s.prompt_pairs + s.cached);
  const double arithmetic = std::min(1.0, flops / (peak_flops * seconds * kReached));
  const double bytes = weight_bytes + bytes_per_cached * s.cached;
  const double memory = std::min(1.0, bytes / (bandwidth * seconds));
  draw.clocked = limit * (kArithmetic * arithmetic + kMemory * kMemoryClocked * memory);
  draw.unclocked = limit * kMemory * (1 - kMemoryClocked) * memory;
  const double above = draw.clocked + draw.unclocked, most = limit - draw.idle;
  if (above > most) draw.clocked *= most / above, draw.unclocked *= most / above;  // the GPU holds itself at its limit
  draw.clocked *= std::pow(clock, kClockExponent);
  return draw;
}

PowerModel PowerOf(const plan::InferenceScenario& scenario) {
  const plan::Gpu& gpu = scenario.base.cluster.node.gpu;
  PowerModel power;
  power.limit = gpu.power_w, power.clock = scenario.ClockShare();
  power.peak_flops = PeakRate(gpu, scenario.strategy.precision).value;
  power.bandwidth = gpu.memory_bandwidth.value;
  const plan::InferenceStep step = plan::StepOf(scenario, 1, 1);
  for (std::size_t stage = 0; stage < step.stages.size(); ++stage) {
    const double weights = plan::FixedMemory(scenario, step, stage).weights.value;
    if (weights <= power.weight_bytes) continue;
    power.weight_bytes = weights;
    power.bytes_per_cached = plan::CacheBytesOf(scenario, step, stage).per_token.value;
    power.flops_per_token = power.flops_per_pair = 0;
    for (const plan::InferenceSection& section : step.stages[stage]) {
      const plan::InferenceLayer& layer = step.layers[section.layer];
      for (const plan::Op& op : layer.ops)
        power.flops_per_token += section.count * plan::MatrixFlopsOf(op, false).value;
      if (layer.cache) power.flops_per_pair += section.count * layer.cache->FlopsPerCachedToken();
    }
  }
  return power;
}

}  // namespace isochrone::costmodel
