#pragma once

#include <algorithm>
#include <vector>

#include "plan/inference/step_cost.h"

namespace isochrone::sim::serving {

/// The stages of one replica. Steps pass through them in the order in which they enter; each stage does one at a time.
///
///   end(i, s) = max(end(i, s-1) + message, end(i-1, s)) + seconds(i, s)
///
/// The time that a stage has waited for a step since it did the one before is a bubble, and that step's. What a stage
/// waits before its first step is not: the line fills once.
/// Source  Agrawal et al., SARATHI, arXiv 2308.16369, section 3.3 (bubbles PB1 to PB3).
class StageLine {
 public:
  explicit StageLine(const plan::ReplicaCost& cost) : cost_(&cost), free_(cost.stages.size(), 0), used_(free_.size()) {}

  struct Passage {
    double start = 0, end = 0;    // when it enters the first stage and leaves the last
    double busy = 0, bubble = 0;  // s, over all stages
  };

  /// When the first stage can take the next step.
  double Free() const { return free_.front(); }

  /// `quiet`: nothing was there to do before `ready`, so the first stage's wait is no bubble but lack of work.
  Passage Pass(double ready, const plan::StepLoad& load, bool quiet = false) {
    Passage passage{.start = std::max(ready, free_.front()), .end = ready};
    const double message = cost_->Message(load);
    for (std::size_t s = 0; s < free_.size(); ++s) {
      const double seconds = cost_->stages[s].Seconds(load), arrives = passage.end + (s > 0 ? message : 0);
      const double begin = std::max(arrives, free_[s]);
      if (used_[s] && !quiet) passage.bubble += begin - free_[s];
      used_[s] = true;
      passage.busy += seconds, passage.end = free_[s] = begin + seconds;
    }
    return passage;
  }

 private:
  const plan::ReplicaCost* cost_;
  std::vector<double> free_;  // when each stage is idle again
  std::vector<char> used_;
};

}  // namespace isochrone::sim::serving
