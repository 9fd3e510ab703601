#include "plan/inference/memory.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isochrone::plan {
namespace {

/// CUDA context, libraries and communicator buffers.
constexpr Bytes kFramework(1.0 * kGibi);

Bytes Activation(const InferenceScenario& s) {
  const bool wide = s.strategy.precision == Dtype::kFp32 || s.strategy.precision == Dtype::kTf32;
  return SizeOf(wide ? Dtype::kFp32 : Dtype::kBf16);
}

template <class Use>
void EachLayer(const InferenceStep& step, std::size_t stage, const Use& use) {
  for (const InferenceSection& section : step.stages[stage])
    use(step.layers[section.layer], static_cast<double>(section.count));
}

/// A step as large as an engine runs.
InferenceStep LargestStep(const InferenceScenario& s) {
  return StepOf(s, s.strategy.token_budget, std::min<std::int64_t>(s.strategy.token_budget, 256));
}

double InPages(double tokens, std::int64_t page) {
  return std::ceil(tokens / static_cast<double>(page)) * static_cast<double>(page);
}

}  // namespace

CacheBytes CacheBytesOf(const InferenceScenario& scenario, const InferenceStep& step, std::size_t stage) {
  const Bytes stored = SizeOf(scenario.strategy.kv_cache);
  CacheBytes bytes;
  EachLayer(step, stage, [&](const InferenceLayer& layer, double count) {
    bytes.per_sequence += count * layer.state_elements * stored;
    if (!layer.cache) return;
    const Bytes token = count * layer.cache->Elements() * stored;
    const std::int64_t window = layer.cache->kernel.window;
    if (window > 0) bytes.per_sequence += static_cast<double>(window) * token;
    else bytes.per_token += token;
  });
  return bytes;
}

InferenceMemory FixedMemory(const InferenceScenario& scenario, const InferenceStep& largest, std::size_t stage) {
  InferenceMemory memory;
  const Bytes activation = Activation(scenario);
  EachLayer(largest, stage, [&](const InferenceLayer& layer, double count) {
    // Tables and vectors stay as activations are; projections take the narrow format.
    const bool table = layer.name == "embedding" || layer.name == "head";
    const Bytes matrix = table ? activation : SizeOf(scenario.strategy.weights);
    memory.weights += count * ((layer.parameters - layer.vectors) * matrix + layer.vectors * activation);
    memory.workspace = Max(memory.workspace, layer.workspace);
  });
  memory.framework = kFramework;
  return memory;
}

std::vector<InferenceMemory> MemoryOf(const InferenceScenario& scenario, double sequences, double tokens) {
  const InferenceStep step = LargestStep(scenario);
  std::vector<InferenceMemory> all;
  for (std::size_t stage = 0; stage < step.stages.size(); ++stage) {
    InferenceMemory memory = FixedMemory(scenario, step, stage);
    const CacheBytes bytes = CacheBytesOf(scenario, step, stage);
    memory.cache = sequences * InPages(tokens, scenario.strategy.block_tokens) * bytes.per_token;
    memory.states = sequences * bytes.per_sequence;
    all.push_back(memory);
  }
  return all;
}

double CacheCapacity(const InferenceScenario& scenario) {
  const InferenceStep step = LargestStep(scenario);
  const Bytes usable = scenario.strategy.memory_share * scenario.base.cluster.node.gpu.memory;
  const auto page = static_cast<double>(scenario.strategy.block_tokens);
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t stage = 0; stage < step.stages.size(); ++stage) {
    const Bytes left = usable - FixedMemory(scenario, step, stage).Total();
    const CacheBytes bytes = CacheBytesOf(scenario, step, stage);
    if (left.value < 0) return -1;
    if (bytes.per_token.value > 0) least = std::min(least, std::floor(left / (page * bytes.per_token)) * page);
  }
  return least;
}

}  // namespace isochrone::plan
