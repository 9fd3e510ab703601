#include "study/search/each.h"

#include "study/search/result_file.h"

namespace isochrone::study {

std::string BestOfEach::Choice() const {
  const Candidate* best = Best();
  if (!best) return "none fits";
  std::string words;
  const auto varied = VariedOf(space, best->index);
  for (std::size_t i = space.base_keys.size(); i < varied.size(); ++i)
    words += (words.empty() ? "" : ", ") + varied[i].first + " " + varied[i].second;
  if (space.data_follows)
    words += (words.empty() ? "data " : ", data ") + std::to_string(ScenarioAt(space, best->index).strategy.data);
  return words;
}

std::optional<double> BestOfEach::Regret() const {
  if (!chosen_step_time || result.best.empty()) return std::nullopt;
  return *chosen_step_time / result.best.front().estimate.step_time - 1;
}

std::vector<BestOfEach> SearchEach(const Space& space, int jobs, const std::atomic<bool>& stop) {
  std::vector<BestOfEach> all;
  for (std::size_t base = 0; base < space.bases.size(); ++base) {
    BestOfEach one{OnlyBase(space, base), {}, std::nullopt};
    SweepOptions options;
    options.jobs = jobs;
    options.prune = true;
    options.stop = &stop;
    one.result = Sweep(one.space, options);
    const auto& chosen = one.space.chosen.front();
    if (chosen) one.chosen_step_time = EstimateOf(*chosen).estimate.step_time;
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace isochrone::study
