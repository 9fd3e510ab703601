#include "study/inference/generate.h"

#include <algorithm>

#include "base/text.h"
#include "costmodel/inference/engine.h"
#include "costmodel/inference/power.h"
#include "costmodel/inference/step_price.h"

namespace isochrone::study {
namespace {

using plan::StepCost;
using plan::StepLoad;

const StepCost& SlowestStage(const plan::ReplicaCost& cost, const StepLoad& load) {
  return *std::max_element(cost.stages.begin(), cost.stages.end(),
                           [&](const StepCost& a, const StepCost& b) { return a.Seconds(load) < b.Seconds(load); });
}

StepParts PartsOf(const plan::ReplicaCost& cost, const StepLoad& load) {
  const StepCost& stage = SlowestStage(cost, load);
  StepParts parts;
  parts.products = stage.work(load.prompt_tokens + load.decoded), parts.head = stage.head(load.decoded + load.pieces);
  const double gpu = stage.Gpu(load);
  parts.attention = gpu - parts.products - parts.head;
  parts.host = stage.host + stage.host_per_sequence * (load.decoded + load.pieces);
  parts.waiting = stage.Seconds(load) - parts.host - gpu;
  return parts;
}

/// Loads of one prompt step and of the middle decode step.
StepLoad PromptLoad(const plan::InferenceScenario& s) {
  const auto prompt = static_cast<double>(s.generation.prompt);
  StepLoad load;
  load.pieces = std::clamp(std::floor(static_cast<double>(s.strategy.token_budget) / prompt), 1.0,
                           static_cast<double>(s.generation.batch));
  load.prompt_tokens = load.pieces * prompt, load.prompt_pairs = load.pieces * prompt * prompt / 2;
  return load;
}

StepLoad DecodeLoad(const plan::InferenceScenario& s) {
  StepLoad load;
  load.decoded = static_cast<double>(s.generation.batch);
  load.cached = load.decoded * static_cast<double>(s.generation.prompt + s.generation.output / 2);
  return load;
}

void AddEnergy(GenerationAnswer& a) {
  const plan::Generation& g = a.scenario.generation;
  const costmodel::PowerModel power = costmodel::PowerOf(a.scenario);
  const double gpus = static_cast<double>(a.scenario.strategy.tensor * a.scenario.strategy.pipeline);
  const StepLoad prompt = PromptLoad(a.scenario), decode = DecodeLoad(a.scenario);
  const double prompt_watts = power.Watts(prompt, a.cost.Latency(prompt));
  const double decode_watts = power.Watts(decode, a.cost.Latency(decode));
  const double decodes = static_cast<double>(g.output - 1);
  const double joules =
      gpus * (prompt_watts * a.time_to_first_token.value + decode_watts * decodes * a.time_per_output_token.value);
  a.joules_per_output_token = joules / static_cast<double>(g.batch * g.output);
}

void AddMemory(GenerationAnswer& a) {
  const plan::Generation& g = a.scenario.generation;
  const double length = static_cast<double>(g.prompt + g.output);
  a.memory = plan::MemoryOf(a.scenario, static_cast<double>(g.batch), length);
  if (a.scenario.speculation) {  // the draft lies on GPUs of the first stage
    const plan::InferenceMemory draft =
        plan::MemoryOf(DraftOf(a.scenario), static_cast<double>(g.batch), length).front();
    a.memory.front().weights += draft.weights, a.memory.front().cache += draft.cache;
    a.memory.front().states += draft.states;
  }
  a.capacity = a.scenario.base.cluster.node.gpu.memory;
  const Bytes usable = a.scenario.strategy.memory_share * a.capacity;
  a.fits = true;
  for (std::size_t i = 0; i < a.memory.size(); ++i) {
    const Bytes over = a.memory[i].Total() - usable;
    if (over.value <= 0) continue;
    a.fits = false;
    a.warnings.push_back("does not fit: a GPU of stage " + std::to_string(i) + " needs " + HumanBytes(over) +
                         " more than the " + HumanBytes(usable) + " that memory_share leaves");
  }
  const auto one = plan::MemoryOf(a.scenario, 1, length);
  a.most_batch = 1e18;
  for (const plan::InferenceMemory& m : one) {
    const Bytes fixed = m.weights + m.workspace + m.framework, each = m.cache + m.states;
    if (each.value > 0) a.most_batch = std::min(a.most_batch, std::max(0.0, std::floor((usable - fixed) / each)));
  }
  if (a.fits) return;
  if (a.most_batch >= 1)
    a.warnings.push_back("a batch of " + Grouped(static_cast<std::int64_t>(a.most_batch)) + " fits");
  else a.warnings.push_back("not even one request fits: use more tensor or pipeline ranks, or narrower weights");
}

}  // namespace

GenerationAnswer Generate(const plan::InferenceScenario& scenario) {
  GenerationAnswer a;
  a.scenario = scenario;
  a.cost = costmodel::ReplicaCostOf(scenario);
  const plan::Generation& g = scenario.generation;
  const GenerationTimes times = SimultaneousBatch(a.cost, g, static_cast<double>(scenario.strategy.token_budget));
  a.time_to_first_token = Seconds(times.first_token), a.time_per_output_token = Seconds(times.per_token);
  if (scenario.speculation) {
    a.speculation = Speculate(scenario, a.cost);
    a.time_per_output_token = Seconds(times.per_token / a.speculation->Gain());
  }
  a.total = a.time_to_first_token + static_cast<double>(g.output - 1) * a.time_per_output_token;
  const double replicas = scenario.strategy.replicas, batch = static_cast<double>(g.batch);
  a.requests_per_s = replicas * batch / a.total.value;
  a.output_tokens_per_s = a.requests_per_s * static_cast<double>(g.output);
  a.gpu_seconds_per_request = static_cast<double>(scenario.Gpus()) / a.requests_per_s;
  a.money_per_million_tokens =
      scenario.price_per_gpu_hour * static_cast<double>(scenario.Gpus()) / 3600 / a.output_tokens_per_s * 1e6;
  a.prompt_step = PartsOf(a.cost, PromptLoad(scenario)), a.decode_step = PartsOf(a.cost, DecodeLoad(scenario));
  AddMemory(a);
  AddEnergy(a);
  return a;
}

}  // namespace isochrone::study
