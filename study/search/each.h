#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "study/search/candidate.h"
#include "study/search/space.h"
#include "study/search/sweep.h"

namespace isochrone::study {

/// The best of one combination of the values that a sweep lists for scenario, model, cluster and batch.
struct BestOfEach {
  Space space;  // of that combination alone
  SweepResult result;
  std::optional<double> chosen_step_time;  // seconds: of the scenario that it starts from, by its own choices

  const Candidate* Best() const { return result.best.empty() ? nullptr : &result.best.front(); }
  /// The best's values of the strategy alone, "tensor 8, pipeline 4, data 2"; "none fits" where there is none.
  std::string Choice() const;
  /// How much longer the chosen one takes than the best; below 0 where the sweep's space does not hold it.
  std::optional<double> Regret() const;
};

/// Searches every combination of `space` by itself, pruned. Ends early where `stop`.
std::vector<BestOfEach> SearchEach(const Space& space, int jobs, const std::atomic<bool>& stop);

}  // namespace isochrone::study
