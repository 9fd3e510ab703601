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

int Cap(int p) { return 2 * p; }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

/// From 2 p microbatches on, for any F, I and W:
///
///   bubble = (p − 1) max(2 F − W, 2 F − I, 2 I − W, I)
///
/// which is (p − 1) F where all are equal: the last rank's late start. With fewer and F = I = W = 1
///
///   makespan bubble = max(4 p − 1 − 4 m, p − 1 + 2 max(0, p − m)),  span bubble the same with 1 in place of 2
///
/// Exact there; between, the longest pass in place of each is a bound. Peak min(2 p, 2 m) activations of a chunk.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, m = shape.microbatches;
  if (m >= 2 * p) {
    const Seconds f = costs.forward, i = costs.backward_input, w = costs.backward_weight;
    const Seconds ideal = 2 * m * StageTime(costs);
    const Seconds makespan = ideal + (p - 1) * Max(Max(2 * f - w, 2 * f - i), Max(2 * i - w, i));
    return {true, makespan, makespan, ideal, double(Cap(p))};
  }
  const int short_by = std::max(0, p - m), turn = 4 * p - 1 - 4 * m;
  return VTheory(shape, costs, {std::max(turn, p - 1 + 2 * short_by), std::max(turn, p - 1 + short_by)}, Cap(p));
}

}  // namespace

const Family kZbVFamily{ScheduleKind::kZbV, "zb_v", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
