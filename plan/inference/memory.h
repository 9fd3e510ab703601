#pragma once

#include <vector>

#include "base/units.h"
#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_ops.h"

namespace isochrone::plan {

/// Bytes on one GPU of one pipeline stage.
struct InferenceMemory {
  Bytes weights, cache, states, workspace, framework;
  Bytes Total() const { return weights + cache + states + workspace + framework; }
};

/// What a token and a sequence leave in the memory of one GPU of one stage.
struct CacheBytes {
  Bytes per_token;     // keys and values, over the stage's layers; windowed layers keep their window only
  Bytes per_sequence;  // recurrent states and full windows
};
CacheBytes CacheBytesOf(const InferenceScenario& scenario, const InferenceStep& step, std::size_t stage);

/// Weights: matrices in the format of `weights`, vectors as activations. Workspace of the largest step. The framework
/// is what the driver and its libraries take.
InferenceMemory FixedMemory(const InferenceScenario& scenario, const InferenceStep& largest, std::size_t stage);

/// Memory of every stage while `sequences` sequences hold `tokens` tokens each, in whole pages of block_tokens.
std::vector<InferenceMemory> MemoryOf(const InferenceScenario& scenario, double sequences, double tokens);

/// Tokens that the cache of one replica can hold: what memory_share leaves on the fullest stage, in whole pages.
/// Negative: the weights alone do not fit.
double CacheCapacity(const InferenceScenario& scenario);

}  // namespace isochrone::plan
