// One forward, one backward: rank r runs p − r − 1 forward passes, then alternates.
// Source  Narayanan et al., "PipeDream", SOSP 2019, and arXiv 2104.04473, section 2.2 (with a flush).
#include <algorithm>

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 1, "give 1 chunk a rank, or take interleaved_1f1b"); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  const int m = shape.microbatches;
  Schedule schedule{shape.kind, m, LoopPlacement(shape.ranks, 1), {}};
  schedule.order.resize(shape.ranks);
  for (int rank = 0; rank < shape.ranks; ++rank) {
    auto& order = schedule.order[rank];
    order.reserve(2 * m);
    const int warmup = std::min(shape.ranks - rank - 1, m);
    for (int i = 0; i < warmup; ++i) order.push_back(MakeTask(Phase::kForward, i));
    for (int i = 0; i < m; ++i) {
      if (warmup + i < m) order.push_back(MakeTask(Phase::kForward, warmup + i));
      order.push_back(MakeTask(Phase::kBackward, i));
    }
  }
  return schedule;
}

/// makespan = (m + p − 1) t,  ideal = m t,  peak = min(p, m);  t the stage's forward and backward time.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const Seconds t = StageTime(costs);
  const Seconds makespan = (shape.microbatches + shape.ranks - 1) * t;
  return {true, makespan, makespan, shape.microbatches * t, double(std::min(shape.ranks, shape.microbatches))};
}

}  // namespace

const Family k1f1bFamily{ScheduleKind::k1f1b, "1f1b", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
