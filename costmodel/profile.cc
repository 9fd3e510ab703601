#include "costmodel/profile.h"

#include <initializer_list>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::costmodel {

namespace {

constexpr double kMicro = 1e-6;

Source ReadSource(const Json& json) { return {json.At("source").String(), json.At("measured").Bool()}; }

Seconds Microseconds(const Json& json, const char* key) { return Seconds(json.At(key).Number(0, 1e4) * kMicro); }

GemmCurve ReadGemm(const Json& json) {
  json.Allow({"rate_over_peak", "memory_over_peak", "l2_gb_per_s", "epilogue_gb_per_s", "launch_us", "prologue_us",
              "quantisation", "split_us", "split_memory_over_peak", "sharpness", "source", "measured"});
  GemmCurve curve;
  curve.rate_over_peak = json.At("rate_over_peak").Number(0.01, 2);
  curve.memory_over_peak = json.At("memory_over_peak").Number(0.01, 2);
  curve.l2 = BytesPerSecond(json.At("l2_gb_per_s").Number(0.1, 1e5) * kGiga);
  curve.epilogue = BytesPerSecond(json.At("epilogue_gb_per_s").Number(0.1, 1e5) * kGiga);
  curve.launch = Microseconds(json, "launch_us");
  curve.prologue = Microseconds(json, "prologue_us");
  curve.quantisation = json.At("quantisation").Number(0, 1);
  curve.split = Microseconds(json, "split_us");
  curve.split_memory_over_peak = json.At("split_memory_over_peak").Number(0.01, 10);
  curve.sharpness = json.At("sharpness").Number(1, 100);
  curve.source = ReadSource(json);
  return curve;
}

AttentionCurve ReadAttention(const Json& json) {
  json.Allow({"rate_over_peak_64", "rate_over_peak_128", "rate_over_peak_256", "launch_us", "prologue_us", "source",
              "measured"});
  AttentionCurve curve;
  curve.rate_over_peak_64 = json.At("rate_over_peak_64").Number(0.01, 2);
  curve.rate_over_peak_128 = json.At("rate_over_peak_128").Number(0.01, 2);
  curve.rate_over_peak_256 = json.At("rate_over_peak_256").Number(0.01, 2);
  curve.launch = Microseconds(json, "launch_us");
  curve.prologue = Microseconds(json, "prologue_us");
  curve.source = ReadSource(json);
  return curve;
}

MemoryCurve ReadMemory(const Json& json) {
  json.Allow({"elementwise_over_peak", "reduction_over_peak", "scatter_over_peak", "optimizer_over_peak", "launch_us",
              "source", "measured"});
  MemoryCurve curve;
  curve.elementwise_over_peak = json.At("elementwise_over_peak").Number(0.01, 2);
  curve.reduction_over_peak = json.At("reduction_over_peak").Number(0.01, 2);
  curve.scatter_over_peak = json.At("scatter_over_peak").Number(0.01, 2);
  curve.optimizer_over_peak = json.At("optimizer_over_peak").Number(0.01, 2);
  curve.launch = Microseconds(json, "launch_us");
  curve.source = ReadSource(json);
  return curve;
}

OverlapCurve ReadOverlap(const Json& json) {
  json.Allow({"compute", "communication", "source", "measured"});
  return {json.At("compute").Number(1, 100), json.At("communication").Number(1, 100), ReadSource(json)};
}

nlohmann::ordered_json Written(const GemmCurve& c) {
  return {{"rate_over_peak", c.rate_over_peak},
          {"memory_over_peak", c.memory_over_peak},
          {"l2_gb_per_s", c.l2.value / kGiga},
          {"epilogue_gb_per_s", c.epilogue.value / kGiga},
          {"launch_us", c.launch.value / kMicro},
          {"prologue_us", c.prologue.value / kMicro},
          {"quantisation", c.quantisation},
          {"split_us", c.split.value / kMicro},
          {"split_memory_over_peak", c.split_memory_over_peak},
          {"sharpness", c.sharpness},
          {"source", c.source.text},
          {"measured", c.source.measured}};
}

nlohmann::ordered_json Written(const AttentionCurve& c) {
  return {{"rate_over_peak_64", c.rate_over_peak_64},
          {"rate_over_peak_128", c.rate_over_peak_128},
          {"rate_over_peak_256", c.rate_over_peak_256},
          {"launch_us", c.launch.value / kMicro},
          {"prologue_us", c.prologue.value / kMicro},
          {"source", c.source.text},
          {"measured", c.source.measured}};
}

nlohmann::ordered_json Written(const MemoryCurve& c) {
  return {{"elementwise_over_peak", c.elementwise_over_peak},
          {"reduction_over_peak", c.reduction_over_peak},
          {"scatter_over_peak", c.scatter_over_peak},
          {"optimizer_over_peak", c.optimizer_over_peak},
          {"launch_us", c.launch.value / kMicro},
          {"source", c.source.text},
          {"measured", c.source.measured}};
}

}  // namespace

EfficiencyProfile ReadProfile(const std::string& path) {
  const Json json = Json::File(path);
  json.Allow({"name", "command", "gemm", "attention_forward", "attention_backward", "memory", "overlap"});
  EfficiencyProfile profile;
  profile.name = json.At("name").String();
  profile.command = json.At("command").String();
  const Json gemm = json.At("gemm");
  gemm.Allow(plan::DtypeNames());
  for (const std::string& dtype : gemm.Keys()) profile.gemm[dtype] = ReadGemm(gemm.At(dtype));
  if (!profile.gemm.contains("bf16"))
    gemm.Fail("lacks the curve of bf16", "calibrate it first: every other rests on it");
  profile.attention_forward = ReadAttention(json.At("attention_forward"));
  profile.attention_backward = ReadAttention(json.At("attention_backward"));
  profile.memory = ReadMemory(json.At("memory"));
  if (json.Has("overlap")) profile.overlap = ReadOverlap(json.At("overlap"));
  return profile;
}

std::string Print(const EfficiencyProfile& profile) {
  nlohmann::ordered_json gemm;
  for (const auto& [dtype, curve] : profile.gemm) gemm[dtype] = Written(curve);
  nlohmann::ordered_json json = {{"name", profile.name},
                                 {"command", profile.command},
                                 {"gemm", gemm},
                                 {"attention_forward", Written(profile.attention_forward)},
                                 {"attention_backward", Written(profile.attention_backward)},
                                 {"memory", Written(profile.memory)}};
  if (profile.overlap.compute > 0) {
    json["overlap"] = {{"compute", profile.overlap.compute},
                       {"communication", profile.overlap.communication},
                       {"source", profile.overlap.source.text},
                       {"measured", profile.overlap.source.measured}};
  }
  return json.dump(2) + "\n";
}

FlopsPerSecond PeakRate(const plan::Gpu& gpu, plan::Dtype dtype) {
  const auto first = [](std::initializer_list<FlopsPerSecond> rates) {
    for (const FlopsPerSecond rate : rates)
      if (rate.value > 0) return rate;
    return FlopsPerSecond(0);
  };
  switch (dtype) {
    case plan::Dtype::kFp64:
      return first({gpu.fp64, gpu.fp32});
    case plan::Dtype::kFp32:
    case plan::Dtype::kInt32:
    case plan::Dtype::kMask:
      return gpu.fp32;
    case plan::Dtype::kTf32:
      return first({gpu.tf32, gpu.fp32});
    case plan::Dtype::kFp16:
      return first({gpu.fp16, gpu.fp32});
    case plan::Dtype::kBf16:
      return first({gpu.bf16, gpu.fp32});
    case plan::Dtype::kFp8:
    case plan::Dtype::kMxfp8:
      return first({gpu.fp8, gpu.bf16, gpu.fp16, gpu.fp32});
    case plan::Dtype::kNvfp4:
      return first({gpu.fp4, gpu.fp8, gpu.bf16, gpu.fp32});
    case plan::Dtype::kInt8:
    case plan::Dtype::kInt4:
      return first({gpu.int8, gpu.fp16, gpu.fp32});
  }
  return FlopsPerSecond(0);
}

namespace {

// The name of the curve for `dtype`: the nearest format that was measured.
std::string CurveNameOf(const EfficiencyProfile& profile, plan::Dtype dtype) {
  const auto first = [&](std::initializer_list<const char*> names) -> std::string {
    for (const char* name : names)
      if (profile.gemm.contains(name)) return name;
    return "bf16";
  };
  switch (dtype) {
    case plan::Dtype::kFp8:
    case plan::Dtype::kMxfp8:
      return first({"fp8"});
    case plan::Dtype::kNvfp4:
      return first({"nvfp4", "fp8"});
    case plan::Dtype::kInt8:
    case plan::Dtype::kInt4:
      return first({"int8", "fp8"});
    case plan::Dtype::kTf32:
      return first({"tf32"});
    case plan::Dtype::kFp32:
    case plan::Dtype::kFp64:
    case plan::Dtype::kInt32:
    case plan::Dtype::kMask:
      return first({"fp32"});
    case plan::Dtype::kFp16:
    case plan::Dtype::kBf16:
      return "bf16";
  }
  return "bf16";
}

}  // namespace

const GemmCurve& CurveOf(const EfficiencyProfile& profile, plan::Dtype dtype) {
  return profile.gemm.at(CurveNameOf(profile, dtype));
}

Source SourceOf(const EfficiencyProfile& profile, plan::Dtype dtype) {
  const std::string curve = CurveNameOf(profile, dtype);
  Source source = profile.gemm.at(curve).source;
  if (curve != plan::NameOf(dtype) && dtype != plan::Dtype::kFp16) {
    source.text =
        plan::NameOf(dtype) + " not measured: data sheet times the fractions of " + curve + "; " + source.text;
    source.measured = false;
  }
  return source;
}

}  // namespace isochrone::costmodel
