#pragma once

#include "costmodel/costs.h"
#include "costmodel/inference/engine.h"
#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_cost.h"
#include "plan/inference/step_ops.h"

namespace isochrone::costmodel {

/// Time of reading the cache of one attention layer for decoded tokens.
///
///   floor         launch of the kernel and of the one that joins its parts
///   per_cached    max(elements size / (share bandwidth), flops / rate)   for each cached token
///
/// elements  numbers kept per token on one rank; size of one of them
/// share     attention_over_peak of the engine
/// rate      of the matrix units at the head size, as for prompts
/// Source    Dao et al., "Flash-Decoding for long-context inference", 2023: the cache is split so that all
///           multiprocessors read, whatever the batch.
struct CachePrice {
  double floor = 0, per_cached = 0;
};
CachePrice PriceOf(const plan::CacheUse& use, plan::Dtype stored, const plan::Gpu& gpu,
                   const EfficiencyProfile& profile, const EngineProfile& engine);

/// Attention of a prompt of q tokens: floor + per_token q + per_pair q²/2, through the prices at two lengths.
struct PromptPrice {
  double floor = 0, per_token = 0, per_pair = 0;
};
PromptPrice PriceOfPrompt(const plan::CacheUse& use, const Costs& costs, const plan::Gpu& gpu,
                          const EfficiencyProfile& profile, const EngineProfile& engine);

/// An all-reduce in which every rank reads all others' buffers at once, then adds.
///
///   t = one_shot + (n - 1) size / link
///
/// Source  Megatron-LM's and vLLM's custom all-reduce, TensorRT-LLM's one-shot strategy; the latency is the engine's.
Seconds OneShotAllReduce(Bytes size, int n, const plan::Node& node, const EngineProfile& engine);

/// The cost function of one replica: layer programs priced at every point of the curves. docs/inference.md derives it.
plan::ReplicaCost ReplicaCostOf(const plan::InferenceScenario& scenario);
plan::ReplicaCost ReplicaCostOf(const plan::InferenceScenario& scenario, const EfficiencyProfile& profile,
                                const EngineProfile& engine);

}  // namespace isochrone::costmodel
