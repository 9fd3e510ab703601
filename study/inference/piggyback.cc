#include "study/inference/piggyback.h"

#include <cmath>

#include "costmodel/inference/step_price.h"
#include "plan/readers.h"
#include "study/inference/serving_run.h"

namespace isochrone::study {

PiggybackScenario ReadPiggyback(const std::string& path) {
  const plan::Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
  root.Allow({"question", "workload", "model", "cluster", "strategy", "piggyback", "sources"});
  root.At("workload").OneOf({"piggyback"});
  PiggybackScenario s;
  s.engine = plan::ReadInferenceParts(root, file);
  if (s.engine.strategy.pipeline > 1)
    root.At("strategy").At("pipeline").Fail("is of steps on one stage", "write 1, or ask with workload serve");
  const Json object = root.At("piggyback");
  object.Allow({"length", "chunk", "batches"});
  s.length = object.At("length").Number(2, 1e8), s.chunk = object.At("chunk").Number(2, 1e6);
  for (const Json& batch : object.At("batches").Items())
    s.batches.push_back(static_cast<double>(batch.Int(2, static_cast<std::int64_t>(s.chunk))));
  return s;
}

PiggybackGain PiggybackGainOf(const plan::StepCost& cost, double length, double batch, double chunk) {
  const double others = batch - 1, piece = chunk - others;
  const plan::StepLoad decode{.decoded = batch, .cached = batch * length};
  const plan::StepLoad alone{.prompt_tokens = piece, .prompt_pairs = piece * length / 2, .pieces = 1};
  plan::StepLoad mixed = alone;
  mixed.decoded = others, mixed.cached = others * length;
  const double apart = cost.Seconds(decode) / batch;
  const double carried = (cost.Seconds(mixed) - cost.Seconds(alone)) / others;
  const double answer = length / (1 + piece / others), prompt = length - answer;
  const plan::StepLoad whole{.prompt_tokens = prompt, .prompt_pairs = prompt * prompt / 2, .pieces = 1};
  const double baseline = batch * cost.Seconds(whole) + answer * cost.Seconds(decode);
  return {.batch = batch,
          .decode = apart / carried,
          .total = baseline / (batch * prompt / piece * cost.Seconds(mixed)),
          .decode_ms = 1e3 * apart,
          .carried_ms = 1e3 * carried};
}

std::vector<PiggybackGain> PiggybackGains(const PiggybackScenario& s) {
  const plan::StepCost cost = costmodel::ReplicaCostOf(s.engine).stages.front();
  const double most = std::floor(CacheOf(s.engine) / s.length);
  std::vector<PiggybackGain> gains;
  for (const double batch : s.batches) {
    gains.push_back(PiggybackGainOf(cost, s.length, batch, s.chunk));
    gains.back().fits = most;
  }
  return gains;
}

}  // namespace isochrone::study
