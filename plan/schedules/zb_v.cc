// ZB-V: no bubble but the last rank's late start when all passes take equally long, at the activations of 1F1B: 2 p
// chunks, each half a stage. In the pattern a forward pass moves on every 4 units down the V and every 2 units up.
// Source  Qi et al., arXiv 2401.10241, section 6, and arXiv 2405.15362 (V-ZB).
#include <algorithm>

#include "plan/schedules/v_pattern.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 2, "give 2 chunks a rank"); }

VPattern Pattern(int p, int rank) {
  return {4 * rank, 6 * p - 5 - 2 * rank, 6 * p - 4 + 4 * rank, 12 * p - 9 - 2 * rank};
}

int Cap(int p) { return std::min(2 * p, 2 * p); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, m = shape.microbatches;
  return VTheory(shape, costs, m < p ? 4 * p : p + p / 4 + 2, Cap(p));
}

}  // namespace

const Family kZbVFamily{ScheduleKind::kZbV, "zb_v", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
