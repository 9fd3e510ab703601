#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "plan/inference/inference_scenario.h"
#include "plan/inference/memory.h"
#include "plan/inference/step_cost.h"
#include "study/inference/speculative.h"

namespace isochrone::study {

/// Seconds of one step, by what they are spent on; they add up to it. `waiting`: the GPU waits for launches.
struct StepParts {
  double products = 0, attention = 0, head = 0, waiting = 0, host = 0;
};

/// How long a batch of equal requests takes on one replica, and what it needs.
///
///   T(p, o) = F(p) + (o - 1) g
///
/// F  time_to_first_token: steps of at most token_budget tokens until every prompt has its first token
/// g  time_per_output_token: the mean decode step while contexts grow from p to p + o - 1
/// Source  Narayanan et al., "Cheaply Evaluating Inference Efficiency Metrics for Autoregressive Transformer APIs",
///         arXiv 2305.02440, equation 1. Its cost-aware form is T times GPUs, here as gpu_seconds_per_request (and
///         money where the scenario gives a price). With drafts g is the mean time per accepted token.
struct GenerationAnswer {
  plan::InferenceScenario scenario;
  plan::ReplicaCost cost;
  Seconds time_to_first_token, time_per_output_token, total;
  double output_tokens_per_s = 0;  // of all replicas
  double requests_per_s = 0;       // of all replicas
  double gpu_seconds_per_request = 0, money_per_million_tokens = 0;
  double joules_per_output_token = 0;
  std::optional<SpeculationAnswer> speculation;
  StepParts prompt_step, decode_step;         // of the slowest stage
  std::vector<plan::InferenceMemory> memory;  // [stage], at the end of the generation
  Bytes capacity;
  double most_batch = 0;  // requests of this length whose cache fits
  bool fits = false;
  std::vector<std::string> warnings;
};

GenerationAnswer Generate(const plan::InferenceScenario& scenario);

/// The two times of a batch of equal requests, from a cost function alone.
struct GenerationTimes {
  double first_token = 0, per_token = 0;  // F and g
};

/// All `batch` requests arrive at once; nothing else runs.
GenerationTimes SimultaneousBatch(const plan::ReplicaCost& cost, const plan::Generation& g, double token_budget);

/// How an engine takes prompts in.
struct Admission {
  double token_budget = 8192;   // most tokens of a step
  bool fuses_prompts = true;    // prompts and decoded tokens share steps
  double cached_tokens = 1e18;  // that the cache can hold: requests beyond wait outside
};

/// `batch` requests are always present, each replaced as it ends. n of them have a place in the cache:
///
///   n = min(batch, cached_tokens / (p + o)), at least 1
///
/// Where prompts share steps with decoded tokens, requests drift apart, and while one decodes, the prompts of all
/// others pass once. Where prompts go first and alone, equal requests stay in step: a wave of prompts, then all decode,
/// so that a request sees on average half of the other prompts after its own:
///
///   g = decode(n) + (n - 1) (mixed step - decode step) / o       F = mixed step
///   g = decode(n) + (n - 1)/2 prompt / o                         F = (n + 1)/2 prompt
///
/// decode at the mean context p + o/2. F has no other queueing.
GenerationTimes SteadyConcurrency(const plan::ReplicaCost& cost, const plan::Generation& g, const Admission& admission);

}  // namespace isochrone::study
