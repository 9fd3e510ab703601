#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/units.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// Where a number comes from: "fit: gemm_perf.csv, 3.1 % median residual", "datasheet", "assumed".
struct Source {
  std::string text;
  bool measured = false;
};

/// Fitted constants of matrix multiplication in one number format; gemm.h has the formula that they enter.
struct GemmCurve {
  double rate_over_peak = 0;          // tensor-core rate of an infinitely large tile, over the data sheet
  double memory_over_peak = 0;        // streaming bandwidth over the data sheet
  BytesPerSecond l2;                  // of one multiprocessor, feeding tiles
  BytesPerSecond epilogue;            // of one multiprocessor, writing a finished tile
  Seconds launch;                     // floor of any kernel
  Seconds prologue;                   // start of one tile
  double quantisation = 0;            // 1: waves are whole; 0: a partly filled wave costs its share only
  Seconds split;                      // extra cost of splitting k
  double split_memory_over_peak = 0;  // bandwidth at which partial results meet
  double sharpness = 4;               // exponent p of (a^p + b^p)^(1/p) where two limits meet
  Source source;
};

/// Fitted constants of fused attention in one direction; attention.h has the formula. Rates are given at head sizes
/// 64, 128 and 256 and interpolated between.
struct AttentionCurve {
  double rate_over_peak_64 = 0, rate_over_peak_128 = 0, rate_over_peak_256 = 0;
  Seconds launch;    // floor of the kernels of this pass
  Seconds prologue;  // start of one tile of queries (forward) or keys (backward)
  Source source;
};

/// Fitted constants of kernels that stream through memory; elementwise.h has the formula.
struct MemoryCurve {
  double elementwise_over_peak = 0;  // maps, additions, casts, copies
  double reduction_over_peak = 0;    // normalisation, softmax: each row is reduced first
  double scatter_over_peak = 0;      // embedding gradients, permutations: rows at random places
  double optimizer_over_peak = 0;    // multi-tensor update
  Seconds launch;                    // floor of any kernel
  Source source;
};

/// How many times as long kernels take while products and all-reduces run beside each other; 0: not measured.
struct OverlapCurve {
  double compute = 0, communication = 0;
  Source source;
};

/// What one GPU reaches of its data sheet. One file a GPU, `profiles/NAME.json` of the catalogue.
struct EfficiencyProfile {
  std::string name;                       // the GPU that it was measured on
  std::string command;                    // that fits its measured curves again
  std::map<std::string, GemmCurve> gemm;  // by number format: "bf16" (also fp16), "fp8", …
  AttentionCurve attention_forward, attention_backward;
  MemoryCurve memory;
  OverlapCurve overlap;
};

/// Reads a profile. Strict: a missing or unknown key, or a value out of range, throws Error.
EfficiencyProfile ReadProfile(const std::string& path);

/// The document that ReadProfile reads back as the same profile.
std::string Print(const EfficiencyProfile& profile);

/// The profile of `gpu`: profiles/NAME.json of the catalogue where it exists, else that of the nearest measured GPU of
/// its architecture, whose sources then say so and count as not measured. Read once a process; safe to call from
/// several threads.
std::shared_ptr<const EfficiencyProfile> ProfileOf(const plan::Gpu& gpu);

/// Data-sheet rate of `dtype`; where the hardware lacks the format, that of the next wider one it has.
FlopsPerSecond PeakRate(const plan::Gpu& gpu, plan::Dtype dtype);

/// The curve for `dtype`: its own, else that of the nearest format measured.
const GemmCurve& CurveOf(const EfficiencyProfile& profile, plan::Dtype dtype);
/// Where that curve comes from; borrowed from another format, it counts as not measured. fp16 and bf16 are one.
Source SourceOf(const EfficiencyProfile& profile, plan::Dtype dtype);

}  // namespace isochrone::costmodel
