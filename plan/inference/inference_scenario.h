#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "plan/catalogue.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// One batch of equal requests: `batch` prompts of `prompt` tokens, each answered with `output` tokens.
struct Generation {
  std::int64_t prompt = 0, output = 1, batch = 1;
};

/// How a model is spread and run where it answers requests. The table in inference_scenario.cc names each key, its
/// default and its meaning; every answer echoes the defaults taken.
struct InferenceStrategy {
  int tensor = 1, pipeline = 1, expert = 1, replicas = 1;
  Dtype precision = Dtype::kBf16;    // of the operands of matrix products
  Dtype weights = Dtype::kBf16;      // as stored; narrower than `precision`: widened on the way to the multipliers
  Dtype kv_cache = Dtype::kBf16;     // keys, values and recurrent states as stored
  std::string engine = "ideal";      // names the profile of what surrounds the kernels
  std::int64_t token_budget = 8192;  // most tokens of one step
  std::int64_t block_tokens = 16;    // of a page of the cache
  double memory_share = 0.9;         // of the GPU that weights and cache may take
};

/// A question about generation. `base` holds what training shares with it (model, cluster and degrees), checked.
struct InferenceScenario {
  Scenario base;
  InferenceStrategy strategy;
  Generation generation;
  double price_per_gpu_hour = 0;  // 0: not given
  std::vector<std::string> defaults;

  int Gpus() const { return strategy.tensor * strategy.pipeline * strategy.replicas; }
};

/// True for a scenario file that asks about inference: "workload" is "generate" or "serve".
bool AsksAboutInference(const Json& root);

/// Reads and checks a file with `"workload": "generate"`. Throws Error.
InferenceScenario ReadGeneration(const std::string& path);

/// The parts that "generate" and "serve" share: question, model, cluster, strategy. `root` may have more keys.
InferenceScenario ReadInferenceParts(const Json& root, const Found& file);

/// Fills `base` with the degrees of `strategy` and checks them against model and cluster. Throws Error.
void Settle(InferenceScenario& scenario);

}  // namespace isochrone::plan
