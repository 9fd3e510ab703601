// DualPipe: microbatches flow from both ends at once, through two copies of the model; each rank holds one stage of
// each direction. Microbatches 0 … m/2 − 1 take direction 0, the others direction 1. The two copies of a stage lie on
// ranks r and p − 1 − r, which reduce their gradients together. Source  DeepSeek-AI, "DeepSeek-V3 Technical Report",
// arXiv 2412.19437, section 3.2.1.
#include <algorithm>

#include "plan/schedules/dualpipe_order.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) {
  RequireChunks(shape, 2, "give 2 chunks a rank: one stage of each direction");
  if (shape.ranks % 2 != 0)
    Refuse(shape, "needs an even number of ranks", "give " + std::to_string(shape.ranks + 1) + " ranks");
  if (shape.microbatches % 2 != 0 || shape.microbatches < 2 * shape.ranks) {
    const int nearest = std::max(shape.microbatches + 1, 2 * shape.ranks);
    Refuse(shape, "needs an even number of microbatches, at least twice the ranks",
           "give " + std::to_string(nearest) + " microbatches");
  }
}

Placement BothWays(int ranks) {
  Placement placement;
  placement.ranks = ranks;
  placement.chunks = placement.directions = 2;
  placement.stages = ranks;
  placement.slot.resize(2 * ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    for (int direction = 0; direction < 2; ++direction) {
      const int stage = direction == 0 ? rank : ranks - 1 - rank;
      placement.stage.push_back(static_cast<std::int16_t>(stage));
      placement.direction.push_back(static_cast<std::int8_t>(direction));
      placement.slot[direction * ranks + stage] = 2 * rank + direction;
    }
  }
  return placement;
}

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  const int p = shape.ranks, n = shape.microbatches / 2;
  Schedule schedule{shape.kind, shape.microbatches, BothWays(p), {}};
  for (int rank = 0; rank < p; ++rank) {
    const bool mirrored = rank >= p / 2;  // near: the direction whose first stages these are
    schedule.order.push_back({});
    for (const DualPass& pass : DualPipeOrder(p / 2, mirrored ? p - 1 - rank : rank, n)) {
      const bool second = pass.far != mirrored, second_b = pass.far_b != mirrored;
      Task task = MakeTask(pass.phase, pass.microbatch + (second ? n : 0), second);
      if (pass.phase == Phase::kOverlapped) {
        task.chunk_b = second_b;
        task.microbatch_b = pass.microbatch_b + (second_b ? n : 0);
      }
      schedule.order.back().push_back(task);
    }
  }
  return schedule;
}

ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  return DualPipeTheory(shape.ranks / 2, shape.microbatches / 2, costs);
}

}  // namespace

const Family kDualPipeFamily{ScheduleKind::kDualPipe, "dualpipe", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
