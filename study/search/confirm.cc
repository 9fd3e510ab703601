#include "study/search/confirm.h"

#include <algorithm>
#include <limits>

#include "study/predict.h"
#include "study/search/objective.h"

namespace isochrone::study {

std::vector<Confirmed> Confirm(const Space& space, const std::vector<Candidate>& best, int fewest, bool network) {
  std::vector<Confirmed> all;
  std::size_t played = 0;
  double least = std::numeric_limits<double>::infinity();  // score of those played
  for (const Candidate& c : best) {
    const plan::Scenario scenario = ScenarioAt(space, c.index);
    Confirmed one{.candidate = c};
    one.candidate.estimate = EstimateOf(scenario).estimate;  // whole again where a file gave it
    const bool play = fewest > 0 && played == all.size() && (static_cast<int>(played) < fewest || c.score < least);
    if (play) {
      ++played;
      one.event_step_time = Predict(scenario).metrics.step_time.value;
      if (network) one.network_step_time = Predict(scenario, {.fidelity = Fidelity::kNetwork}).metrics.step_time.value;
    }
    one.score = ScoreOf(space, BaseOf(space, c.index), scenario, one.StepTime(), c.model_flops);
    if (play) least = std::min(least, one.score);
    all.push_back(one);
  }
  std::stable_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(played),
                   [](const Confirmed& a, const Confirmed& b) { return a.score < b.score; });
  return all;
}

}  // namespace isochrone::study
