#include "study/search/candidate.h"

#include <algorithm>

namespace isochrone::study {

void KeepBest(const Candidate& candidate, int most, std::vector<Candidate>& best) {
  best.insert(std::upper_bound(best.begin(), best.end(), candidate), candidate);
  if (static_cast<int>(best.size()) > most) best.pop_back();
}

void KeepPareto(const Candidate& candidate, std::vector<Candidate>& front) {
  const auto covers = [](const Candidate& a, const Candidate& b) {
    if (a.score > b.score || a.estimate.memory > b.estimate.memory || a.gpus > b.gpus) return false;
    return a.score < b.score || a.estimate.memory < b.estimate.memory || a.gpus < b.gpus || a.index <= b.index;
  };
  for (std::size_t i = 0; i < front.size(); ++i) {
    if (!covers(front[i], candidate)) continue;
    if (i > 0) std::swap(front[i], front[i - 1]);  // what covers often is asked early
    return;
  }
  std::erase_if(front, [&](const Candidate& f) { return covers(candidate, f); });
  front.push_back(candidate);
}

}  // namespace isochrone::study
