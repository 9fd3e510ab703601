#pragma once

#include <string>
#include <vector>

#include "plan/inference/inference_scenario.h"
#include "plan/inference/step_cost.h"

namespace isochrone::study {

/// Sequences of `length` tokens, prompt and answer; prompts in pieces that fill steps of `chunk` tokens.
struct PiggybackScenario {
  plan::InferenceScenario engine;
  double length = 1024, chunk = 256;
  std::vector<double> batches;
};

/// Reads a file with `"workload": "piggyback"`. Throws Error.
PiggybackScenario ReadPiggyback(const std::string& path);

/// What decoding gains where it rides along with pieces of prompts.
///
///   decode  (t(decodes of B) / B) / ((t(piece and B - 1 decodes) - t(piece)) / (B - 1))
///   total   (B t(whole prompt) + o t(decodes of B)) / (B p/c t(piece and B - 1 decodes))
///
/// B       sequences of a batch; of them B - 1 decode beside a piece
/// c       tokens of a piece: what B - 1 decodes leave of the chunk
/// p, o    prompt and answer, p + o the length, in the one ratio at which every piece carries its decodes: p/o =
/// c/(B-1) Source  Agrawal et al., SARATHI, arXiv 2308.16369, sections 4 and 5.1.
struct PiggybackGain {
  double batch = 0, decode = 0, total = 0;
  double decode_ms = 0, carried_ms = 0;  // of one token, alone and carried
  double fits = 0;                       // most sequences of this length that the cache holds
};
PiggybackGain PiggybackGainOf(const plan::StepCost& cost, double length, double batch, double chunk);

/// One gain for each batch of the scenario.
std::vector<PiggybackGain> PiggybackGains(const PiggybackScenario& scenario);

}  // namespace isochrone::study
