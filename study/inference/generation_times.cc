// F and g of a batch, from the cost of a step.
#include <algorithm>
#include <cmath>

#include "study/inference/generate.h"

namespace isochrone::study {
namespace {

using plan::ReplicaCost;
using plan::StepLoad;

/// `pieces` prompts of `tokens` tokens each, from their first.
StepLoad Prompts(double pieces, double tokens) {
  StepLoad load;
  load.pieces = pieces, load.prompt_tokens = pieces * tokens, load.prompt_pairs = pieces * tokens * tokens / 2;
  return load;
}

/// Steps through a pipeline one after the other: the slowest stage sets the pace, the first step fills the pipeline.
double Piped(const ReplicaCost& cost, const StepLoad& load, double steps) {
  double slowest = 0;
  for (const plan::StepCost& stage : cost.stages) slowest = std::max(slowest, stage.Seconds(load) + cost.Message(load));
  return cost.Latency(load) + (steps - 1) * slowest;
}

/// One token of each of `batch` sequences that have `cached` tokens each: groups of sequences follow each other through
/// the stages.
double DecodeStep(const ReplicaCost& cost, double batch, double cached) {
  const double stages = static_cast<double>(cost.stages.size()), groups = std::min(stages, batch);
  StepLoad load;
  load.decoded = std::ceil(batch / groups), load.cached = load.decoded * cached;
  double slowest = 0;
  for (const plan::StepCost& stage : cost.stages) slowest = std::max(slowest, stage.Seconds(load) + cost.Message(load));
  return std::max(cost.Latency(load), groups * slowest);
}

}  // namespace

GenerationTimes SimultaneousBatch(const ReplicaCost& cost, const plan::Generation& g, double token_budget) {
  const auto prompt = static_cast<double>(g.prompt), batch = static_cast<double>(g.batch);
  GenerationTimes times;
  const double together = std::clamp(std::floor(token_budget / prompt), 1.0, batch);
  const double full = std::floor(batch / together), rest = batch - full * together;
  times.first_token = Piped(cost, Prompts(together, prompt), full);
  if (rest > 0) times.first_token += cost.Latency(Prompts(rest, prompt));
  const double decodes = static_cast<double>(g.output - 1);
  if (decodes <= 0) return times;
  if (cost.stages.size() == 1) {
    times.per_token = cost.stages.front().DecodeRun(batch, batch * (prompt + 1), decodes) / decodes;
  } else {
    times.per_token = DecodeStep(cost, batch, prompt + (decodes + 1) / 2);
  }
  return times;
}

GenerationTimes SteadyConcurrency(const ReplicaCost& cost, const plan::Generation& g, const Admission& admission) {
  const auto prompt = static_cast<double>(g.prompt), output = static_cast<double>(g.output);
  const double places = std::floor(admission.cached_tokens / (prompt + output));
  const double batch = std::max(1.0, std::min(static_cast<double>(g.batch), places));
  const bool fuses_prompts = admission.fuses_prompts;
  const double cached = prompt + output / 2;
  const double decode = DecodeStep(cost, batch, cached);
  StepLoad decoding;
  decoding.decoded = batch, decoding.cached = batch * cached;
  // A prompt longer than the budget passes in pieces; each meets what the earlier ones left in the cache.
  const double pieces = std::ceil(prompt / std::max(1.0, admission.token_budget - (fuses_prompts ? batch : 0)));
  double own = 0, extra = 0;
  for (double i = 0; i < pieces; ++i) {
    const double tokens = prompt / pieces;
    StepLoad load = Prompts(1, tokens);
    load.prompt_pairs += tokens * (i * tokens);
    if (fuses_prompts) load.decoded = decoding.decoded, load.cached = decoding.cached;
    const double step = cost.Latency(load);
    own += step;
    extra += fuses_prompts ? step - cost.Latency(decoding) : step;
  }
  GenerationTimes times;
  const double wave = fuses_prompts ? 1 : 0.5;  // of the other prompts that pass after a request's own
  times.first_token = fuses_prompts ? own : own * (batch + 1) / 2;
  times.per_token = decode + wave * (batch - 1) * std::max(0.0, extra) / output;
  return times;
}

}  // namespace isochrone::study
