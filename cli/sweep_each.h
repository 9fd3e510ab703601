#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "study/search/space.h"
#include "study/search/sweep.h"

namespace isochrone::cli {

/// The best of one combination of the values that a sweep lists for scenario, model, cluster and batch.
struct BestOfEach {
  study::Space space;  // of that combination alone
  study::SweepResult result;
  std::optional<double> chosen_step_time;  // seconds: of the scenario that it starts from, by its own choices
  /// How much longer that takes than the best; below 0 where the sweep's space does not hold it.
  std::optional<double> Regret() const;
};

std::vector<BestOfEach> SearchEach(const study::Space& space, int jobs, const std::atomic<bool>& stop);

std::string EachJson(const study::Space& space, const std::vector<BestOfEach>& all, const std::string& command);
/// One line for each combination, and between which neighbours the best changes.
std::string EachText(const study::Space& space, const std::vector<BestOfEach>& all);

}  // namespace isochrone::cli
