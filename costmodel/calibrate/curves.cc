#include "costmodel/calibrate/curves.h"

#include <variant>

#include "base/error.h"

namespace isochrone::costmodel {

namespace {

constexpr double kMicro = 1e-6;

Curve MemoryCurveOf(const MemoryCurve& c) {
  Curve curve;
  curve.unknowns = {{"elementwise_over_peak", c.elementwise_over_peak, 0.2, 1.1},
                    {"reduction_over_peak", c.reduction_over_peak, 0.1, 1.1},
                    {"scatter_over_peak", c.scatter_over_peak, 0.05, 1.1},
                    {"optimizer_over_peak", c.optimizer_over_peak, 0.2, 1.1},
                    {"launch_us", c.launch.value / kMicro, 0.5, 10}};
  curve.set = [](EfficiencyProfile& profile, const std::vector<double>& v) {
    MemoryCurve& m = profile.memory;
    m.elementwise_over_peak = v[0], m.reduction_over_peak = v[1], m.scatter_over_peak = v[2];
    m.optimizer_over_peak = v[3], m.launch = Seconds(v[4] * kMicro);
  };
  curve.source = [](EfficiencyProfile& profile) -> Source& { return profile.memory.source; };
  return curve;
}

Curve GemmCurveOf(const std::string& dtype, const EfficiencyProfile& start) {
  const auto it = start.gemm.find(dtype);
  const GemmCurve c = it != start.gemm.end() ? it->second : start.gemm.at("bf16");
  Curve curve;
  curve.unknowns = {{"rate_over_peak", c.rate_over_peak, 0.2, 1},
                    {"memory_over_peak", c.memory_over_peak, 0.2, 1.1},
                    {"l2_gb_per_s", c.l2.value / kGiga, 5, 1500},
                    {"epilogue_gb_per_s", c.epilogue.value / kGiga, 1, 1500},
                    {"launch_us", c.launch.value / kMicro, 0.5, 10},
                    {"prologue_us", c.prologue.value / kMicro, 0, 5},
                    {"quantisation", c.quantisation, 0, 1},
                    {"split_us", c.split.value / kMicro, 0, 20},
                    {"split_memory_over_peak", c.split_memory_over_peak, 0.05, 5},
                    {"sharpness", c.sharpness, 1.2, 20}};
  curve.set = [dtype](EfficiencyProfile& profile, const std::vector<double>& v) {
    GemmCurve& g = profile.gemm[dtype];
    g.rate_over_peak = v[0], g.memory_over_peak = v[1];
    g.l2 = BytesPerSecond(v[2] * kGiga), g.epilogue = BytesPerSecond(v[3] * kGiga);
    g.launch = Seconds(v[4] * kMicro), g.prologue = Seconds(v[5] * kMicro), g.quantisation = v[6];
    g.split = Seconds(v[7] * kMicro), g.split_memory_over_peak = v[8], g.sharpness = v[9];
  };
  curve.source = [dtype](EfficiencyProfile& profile) -> Source& { return profile.gemm[dtype].source; };
  return curve;
}

AttentionCurve& Side(EfficiencyProfile& profile, bool forward) {
  return forward ? profile.attention_forward : profile.attention_backward;
}

Curve AttentionCurveOf(bool forward, const EfficiencyProfile& start) {
  const AttentionCurve& c = forward ? start.attention_forward : start.attention_backward;
  Curve curve;
  curve.unknowns = {{"rate_over_peak_64", c.rate_over_peak_64, 0.05, 1.1},
                    {"rate_over_peak_128", c.rate_over_peak_128, 0.05, 1.1},
                    {"rate_over_peak_256", c.rate_over_peak_256, 0.05, 1.1},
                    {"launch_us", c.launch.value / kMicro, 1, forward ? 10.0 : 20.0},
                    {"prologue_us", c.prologue.value / kMicro, 0, 10}};
  curve.set = [forward](EfficiencyProfile& profile, const std::vector<double>& v) {
    AttentionCurve& a = Side(profile, forward);
    a.rate_over_peak_64 = v[0], a.rate_over_peak_128 = v[1], a.rate_over_peak_256 = v[2];
    a.launch = Seconds(v[3] * kMicro), a.prologue = Seconds(v[4] * kMicro);
  };
  curve.source = [forward](EfficiencyProfile& profile) -> Source& { return Side(profile, forward).source; };
  return curve;
}

}  // namespace

const std::vector<std::string>& CurveNames() {
  static const std::vector<std::string> names = {"memory",    "gemm bf16",  "gemm fp8",          "gemm fp32",
                                                 "gemm tf32", "gemm nvfp4", "attention forward", "attention backward"};
  return names;
}

std::string CurveNameOf(const Sample& sample) {
  const plan::OpKind& first = sample.ops.front();
  if (const auto* gemm = std::get_if<plan::Gemm>(&first)) {
    switch (gemm->dtype) {
      case plan::Dtype::kFp8:
      case plan::Dtype::kMxfp8:
      case plan::Dtype::kInt8:
      case plan::Dtype::kInt4:
        return "gemm fp8";
      case plan::Dtype::kNvfp4:
        return "gemm nvfp4";
      case plan::Dtype::kTf32:
        return "gemm tf32";
      case plan::Dtype::kFp32:
      case plan::Dtype::kFp64:
      case plan::Dtype::kInt32:
      case plan::Dtype::kMask:
        return "gemm fp32";
      case plan::Dtype::kFp16:
      case plan::Dtype::kBf16:
        return "gemm bf16";
    }
  }
  if (const auto* attention = std::get_if<plan::Attention>(&first))
    return attention->pass == plan::Pass::kForward ? "attention forward" : "attention backward";
  return "memory";
}

Curve CurveNamed(const std::string& name, const EfficiencyProfile& profile) {
  if (name == "memory") return MemoryCurveOf(profile.memory);
  if (name == "attention forward" || name == "attention backward")
    return AttentionCurveOf(name == "attention forward", profile);
  ISO_CHECK(name.starts_with("gemm "));
  return GemmCurveOf(name.substr(5), profile);
}

}  // namespace isochrone::costmodel
