#pragma once

#include <cstdint>
#include <vector>

#include "study/terms/estimate.h"

namespace isochrone::study {

/// One priced configuration. `index` names it: ScenarioAt(space, index).
struct Candidate {
  std::int64_t index = -1;
  double score = 0;  // less is better
  Estimate estimate;
  std::int64_t sequences = 0;
  int gpus = 0;
  double model_flops = 0;  // of one step
  bool fits = true;
  bool operator<(const Candidate& o) const { return score != o.score ? score < o.score : index < o.index; }
};

/// Adds `candidate` where none in `best` of at most `most` is worse; keeps order.
void KeepBest(const Candidate& candidate, int most, std::vector<Candidate>& best);

/// Adds `candidate` where none in `front` is as good in score, memory and GPUs at once, and drops those that it is
/// better than in all three.
void KeepPareto(const Candidate& candidate, std::vector<Candidate>& front);

}  // namespace isochrone::study
