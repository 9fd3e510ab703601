#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cli/calibrate_gpus.h"
#include "executor/cuda/gpu_bench.h"
#include "executor/run.h"
#include "plan/scenario.h"

namespace isochrone::tests {

/// GPUs of this machine, or recorded ones.
struct Gpus {
  int count = 1;
  std::function<executor::RunResult(const plan::Scenario&, const executor::RunOptions&)> run;
  std::function<executor::cuda::GpuTimings(const executor::cuda::BenchRequest&)> measure;
};

/// Trains small models on one CPU rank and, in every way that `gpus.count` GPUs allow, on GPUs: losses, gradients and
/// updated parameters must be within 1e-3 (relative) in fp32; in bf16 and fp16 the first loss within 1e-2. Prints a
/// line a way. Returns how many were wrong.
int CheckEquality(const Gpus& gpus, std::FILE* out);

/// Calibrates, predicts with that profile (collectives with the catalogue's of such links), runs, and prints predicted
/// beside measured. `node` is the server's file of the catalogue, or another.
struct Comparison {
  std::string name;
  int gpus = 1;
  double predicted_s = 0, measured_s = 0;
};
std::vector<Comparison> ComparePredictions(const Gpus& gpus, const std::string& node,
                                           const executor::cuda::BenchRequest& request,
                                           const std::vector<plan::Scenario>& scenarios, const std::string& folder,
                                           std::FILE* out);

/// What that is done with on real GPUs.
executor::cuda::BenchRequest BenchOf(int gpus);
std::vector<plan::Scenario> ScenariosFor(int gpus);
/// The catalogue's server with a GPU that CUDA gives this name; empty where none fits.
std::string NodeOf(const std::string& device);

}  // namespace isochrone::tests
