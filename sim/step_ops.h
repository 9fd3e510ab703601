#pragma once

#include <vector>

#include "plan/plan.h"
#include "plan/timeline.h"
#include "sim/event.h"

namespace isochrone::sim {

/// A prologue or an epilogue: per pipeline rank, ops one after the other. Either list may be empty as a whole.
struct StepOps {
  const std::vector<std::vector<plan::Op>>& ops;
  const std::vector<std::vector<double>>& seconds;
  plan::SpanKind kind;
  bool barrier;  // collectives over the whole pipeline wait for every rank
};

/// Plays it from `time` [rank] on, which becomes the end. Adds to `use`, and to `timeline` where there is one.
void PlayOps(const StepOps& step, std::vector<double>& time, std::vector<RankUse>& use, plan::Timeline* timeline);

}  // namespace isochrone::sim
