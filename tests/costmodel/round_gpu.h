#pragma once

#include "costmodel/profile.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// 100 multiprocessors, 100 TFLOP/s, 1 TB/s: one step of k of a 128 x 128 tile takes 32,768 flop / 1 TFLOP/s.
inline plan::Gpu RoundGpu() {
  plan::Gpu gpu;
  gpu.name = "round";
  gpu.architecture = "ampere";
  gpu.bf16 = gpu.fp16 = FlopsPerSecond(100e12);
  gpu.fp32 = FlopsPerSecond(10e12);
  gpu.memory_bandwidth = BytesPerSecond(1e12);
  gpu.multiprocessors = 100;
  gpu.boost_clock_hz = 1e9;
  return gpu;
}

/// Nothing but arithmetic, bytes and whole waves: every other cost is negligible, and a split of k costs a second.
inline GemmCurve IdealGemm() {
  GemmCurve curve;
  curve.rate_over_peak = 1;
  curve.memory_over_peak = 1;
  curve.l2 = curve.epilogue = BytesPerSecond(1e18);
  curve.quantisation = 1;
  curve.split = Seconds(1);
  curve.split_memory_over_peak = 1;
  curve.sharpness = 50;
  curve.source = {"ideal", false};
  return curve;
}

inline EfficiencyProfile IdealProfile() {
  EfficiencyProfile profile;
  profile.name = "round";
  profile.gemm["bf16"] = IdealGemm();
  AttentionCurve attention;
  attention.rate_over_peak_64 = attention.rate_over_peak_128 = attention.rate_over_peak_256 = 1;
  attention.source = {"ideal", false};
  profile.attention_forward = profile.attention_backward = attention;
  MemoryCurve& memory = profile.memory;
  memory.elementwise_over_peak = memory.reduction_over_peak = memory.scatter_over_peak = memory.optimizer_over_peak = 1;
  memory.source = {"ideal", false};
  return profile;
}

}  // namespace isochrone::costmodel
