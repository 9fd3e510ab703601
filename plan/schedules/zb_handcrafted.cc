#include "plan/schedules/zb_handcrafted.h"

#include <algorithm>

namespace isochrone::plan::schedules {

Schedule BuildHandcraftedZb(const ScheduleShape& shape, int (*warmup)(int ranks, int rank), int cap) {
  const int m = shape.microbatches;
  Schedule schedule{shape.kind, m, LoopPlacement(shape.ranks, 1), {}};
  schedule.order.resize(shape.ranks);
  for (int rank = 0; rank < shape.ranks; ++rank) {
    auto& order = schedule.order[rank];
    order.reserve(3 * m);
    int forward = 0, backward = 0, weight = 0;
    while (forward < std::min(m, warmup(shape.ranks, rank))) order.push_back(MakeTask(Phase::kForward, forward++));
    while (backward < m) {
      order.push_back(MakeTask(Phase::kBackwardInput, backward++));
      const bool full = forward - weight >= cap;
      if (full || forward == m) order.push_back(MakeTask(Phase::kBackwardWeight, weight++));
      if (forward < m) order.push_back(MakeTask(Phase::kForward, forward++));
    }
    while (weight < m) order.push_back(MakeTask(Phase::kBackwardWeight, weight++));
  }
  return schedule;
}

}  // namespace isochrone::plan::schedules
