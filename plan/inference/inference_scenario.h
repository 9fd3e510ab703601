#pragma once

#include <cstdint>
#include <optional>
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

/// Tokens drafted for one sequence before the model reads them: `parent[i]` < i, -1 for a child of what is known;
/// `acceptance[i]` given that the parent was accepted and no sibling was.
struct DraftTree {
  std::vector<int> parent;
  std::vector<double> acceptance;
  static DraftTree Chain(double acceptance, int drafted);
};

/// Speculative decoding: a small model drafts, the large one verifies.
struct Speculation {
  Model draft;
  DraftTree tree;
  std::optional<double> chain_acceptance;  // where the tree is a chain
  int draft_tensor = 1;                    // ranks of the draft
  int layer_parallel = 1;                  // layers of the draft that run at once, each on a GPU of its own
  bool at_once = false;                    // the draft gives all its tokens in one step
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
  double clock_mhz = 0;              // cap on the multiprocessors' clock; 0: none
  double slice = 0;                  // share of the hidden size that is cut away
};

/// A question about generation. `base` holds what training shares with it (model, cluster and degrees), checked.
struct InferenceScenario {
  Scenario base;
  InferenceStrategy strategy;
  Generation generation;
  std::optional<Speculation> speculation;
  double price_per_gpu_hour = 0;  // 0: not given
  std::vector<std::string> defaults;

  int Gpus() const { return strategy.tensor * strategy.pipeline * strategy.replicas; }
  /// The multiprocessors' clock over the full one. Under a cap the rates of `base`'s GPU are lowered by it, its memory
  /// bandwidth is not: what waits for memory keeps its time.
  double ClockShare() const;
};

/// True for a scenario file that asks about inference: "workload" is "generate" or "serve".
bool AsksAboutInference(const Json& root);

/// Reads and checks a file with `"workload": "generate"`. Throws Error.
InferenceScenario ReadGeneration(const std::string& path);

/// The model that a "model" value stands for: a file, or an object with a base or without.
Model ModelOf(const Json& value, const Found& file);

/// The parts that "generate" and "serve" share: question, model, cluster, strategy. `root` may have more keys.
InferenceScenario ReadInferenceParts(const Json& root, const Found& file);

/// Fills `base` with the degrees of `strategy` and checks them against model and cluster. Throws Error.
void Settle(InferenceScenario& scenario);

}  // namespace isochrone::plan
