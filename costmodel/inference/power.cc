#include "costmodel/inference/power.h"

#include <algorithm>

#include "costmodel/profile.h"
#include "plan/inference/memory.h"
#include "plan/inference/step_ops.h"

namespace isochrone::costmodel {
namespace {

constexpr double kIdle = 0.2, kArithmetic = 0.75, kMemory = 0.4;
constexpr double kReached = 0.6;  // of peak, by prompts

}  // namespace

double PowerModel::Watts(const plan::StepLoad& s, double seconds) const {
  if (seconds <= 0) return kIdle * limit;
  const double flops = flops_per_token * (s.prompt_tokens + s.decoded) + flops_per_pair * (s.prompt_pairs + s.cached);
  const double arithmetic = flops / (peak_flops * seconds * kReached);
  const double bytes = weight_bytes + bytes_per_cached * s.cached;
  const double memory = bytes / (bandwidth * seconds);
  return limit * std::min(1.0, kIdle + kArithmetic * std::min(1.0, arithmetic) + kMemory * std::min(1.0, memory));
}

PowerModel PowerOf(const plan::InferenceScenario& scenario) {
  const plan::Gpu& gpu = scenario.base.cluster.node.gpu;
  PowerModel power;
  power.limit = gpu.power_w;
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
