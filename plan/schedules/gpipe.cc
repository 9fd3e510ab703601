// All forward passes, then all backward passes.
// Source  Huang et al., "GPipe", arXiv 1811.06965; drawn with backward passes in forward order as in Narayanan et al.,
//         arXiv 2104.04473, Figure 3.
#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 1, "give 1 chunk a rank, or take interleaved_1f1b"); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  Schedule schedule{shape.kind, shape.microbatches, LoopPlacement(shape.ranks, 1), {}};
  schedule.order.resize(shape.ranks);
  for (auto& order : schedule.order) {
    for (int i = 0; i < shape.microbatches; ++i) order.push_back(MakeTask(Phase::kForward, i));
    for (int i = 0; i < shape.microbatches; ++i) order.push_back(MakeTask(Phase::kBackward, i));
  }
  return schedule;
}

/// makespan = (m + p − 1) t,  ideal = m t,  peak = m;  t the stage's forward and backward time.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const Seconds t = StageTime(costs);
  const Seconds makespan = (shape.microbatches + shape.ranks - 1) * t;
  return {true, makespan, makespan, shape.microbatches * t, double(shape.microbatches)};
}

}  // namespace

const Family kGpipeFamily{ScheduleKind::kGpipe, "gpipe", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
