#pragma once

#include <string>
#include <vector>

#include "study/inference/serve.h"

namespace isochrone::study {

/// One replica of these degrees, and the highest rate at which it keeps the promise (of its phase, where phases are
/// apart). `refused` says why it cannot be: degrees that do not divide the model, weights that do not fit.
struct PlanRate {
  int tensor = 1, pipeline = 1;
  double rate = 0;  // requests a second
  std::string refused = "";
  int Gpus() const { return tensor * pipeline; }
  double PerGpu() const { return rate / Gpus(); }
};

/// Pools of prompts and of decoding, and the rate that they keep together.
struct PoolsRate {
  PlanRate prompt, decode;
  int prompt_replicas = 1, decode_replicas = 1;
  double rate = 0;  // requests a second, played together
  int Gpus() const { return prompt_replicas * prompt.Gpus() + decode_replicas * decode.Gpus(); }
  double PerGpu() const { return rate / Gpus(); }
};

struct SearchAnswer {
  std::vector<PlanRate> joint, prompt, decode;  // best rate per GPU first, refused ones last
  std::vector<PoolsRate> separated;             // the most promising ones, played together; best first
  double Gain() const;  // of the best separated plan over the best joint one, per GPU; 0 where one of them has no rate
};

/// The best plan under the scenario's objective.
///
///   joint      tensor × pipeline, each plan alone: bisection on its rate
///   separated  the same for a prompt pool under the promise on first tokens alone, and for a decode pool under the
///              promise on further tokens alone; then the replicas n, m of each with n gpus_p + m gpus_d ≤ most_gpus
///              that make  min(n rate_p, m rate_d) / (n gpus_p + m gpus_d)  greatest; the best four pairs are played
///              together, with the cache sent from one pool to the other
///
/// Plans are tried in parallel, on SearchThreads() threads; the answer does not depend on how many.
/// Source  Zhong et al., "DistServe", arXiv 2401.09670, algorithm 1.
SearchAnswer SearchPlans(const ServeScenario& scenario);

}  // namespace isochrone::study
