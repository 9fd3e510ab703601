// DualPipeV: DualPipe cut in half. The two directions of DualPipe become the two arms of a V, so that one copy of the
// model suffices. Source  the DualPipe library of DeepSeek-AI, after Qi et al.'s "cut-in-half"; order as in arXiv
// 2412.19437.
#include "plan/schedules/dualpipe_order.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) {
  RequireChunks(shape, 2, "give 2 chunks a rank");
  if (shape.microbatches < 2 * shape.ranks)
    Refuse(shape, "needs at least twice as many microbatches as ranks",
           "give " + std::to_string(2 * shape.ranks) + " microbatches");
}

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  Schedule schedule{shape.kind, shape.microbatches, VPlacement(shape.ranks), {}};
  for (int rank = 0; rank < shape.ranks; ++rank) {
    schedule.order.push_back({});
    for (const DualPass& pass : DualPipeOrder(shape.ranks, rank, shape.microbatches)) {
      Task task = MakeTask(pass.phase, pass.microbatch, pass.far);
      if (pass.phase == Phase::kOverlapped) {
        task.chunk_b = pass.far_b;
        task.microbatch_b = pass.microbatch_b;
      }
      schedule.order.back().push_back(task);
    }
  }
  return schedule;
}

ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  return DualPipeTheory(shape.ranks, shape.microbatches, costs);
}

}  // namespace

const Family kDualPipeVFamily{ScheduleKind::kDualPipeV, "dualpipe_v", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
