#pragma once

#include <vector>

#include "study/inference/serve.h"

namespace isochrone::study {

/// What serving a scenario needs and does not change from rate to rate.
struct ServingCosts {
  plan::ReplicaCost replica;  // joint, or of the prompt pool
  plan::StepCost engine;      // joint, or of the decode pool: all stages one after the other
  sim::serving::Limits limits;
  int engines = 1, decode_engines = 0, gpus = 1;
  double transfer_latency = 0, transfer_per_token = 0;  // s, between pools
  int Engines() const { return engines + decode_engines; }
};

/// `scenario` with one replica of these degrees, on as many nodes as they need. Throws Error where they do not divide
/// the model.
plan::InferenceScenario WithDegrees(plan::InferenceScenario scenario, int tensor, int pipeline);

/// Tokens that the cache of one replica holds. Throws Error where the weights leave none.
double CacheOf(const plan::InferenceScenario& replica);

/// The stages of a replica as one engine: groups of sequences, as many as stages, take turns, so each group sees all
/// stages one after the other, and a replica counts as that many engines. Exact where no step waits for another's.
plan::StepCost OneEngine(const plan::ReplicaCost& replica);

ServingCosts ServingCostsOf(const ServeScenario& scenario);

/// Serves `requests`. `trace`: stretches are recorded.
sim::serving::Served Play(const ServeScenario& scenario, const ServingCosts& costs,
                          const std::vector<sim::serving::Request>& requests, bool trace);

/// A Poisson process of the scenario's lengths at this rate.
std::vector<sim::serving::Request> RequestsAt(const ServeScenario& scenario, double rate);

/// What became of them, but for what needs a second look: energy, the highest rate, warnings.
ServeAnswer Summarise(const ServeScenario& scenario, const ServingCosts& costs,
                      const std::vector<sim::serving::Request>& requests, const sim::serving::Served& served);

}  // namespace isochrone::study
