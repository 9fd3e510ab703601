// V-Half: about half the activations of 1F1B, 2 ⌊p / 2⌋ + 2 chunks of 2 p. In the pattern a pass moves on every 2 units
// down the V and every unit up. Source  Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362.
#include <algorithm>

#include "plan/schedules/v_pattern.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 2, "give 2 chunks a rank"); }

VPattern Pattern(int p, int rank) {
  const int turn = p % 2 == 0 ? 3 : 0;  // keeps the four passes apart modulo 6
  return {2 * rank, 3 * p - 2 - rank, 3 * p - 1 + turn + 2 * rank, 6 * p - 2 + turn - rank};
}

int Cap(int p) { return 2 * (p / 2 + 1); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

/// bubble = 3 p − 3 (p even) or 3 p − 4 (p odd) passes, + 2 for each microbatch below ⌊p / 2⌋ + 1, at most 4 p − 5; 0
/// for one rank.  peak = min(2 ⌊p / 2⌋ + 2, 2 m). Exact for F = I = W, else with the longest pass in place of each a
/// bound. Source  the paper's 3 (p − 1), half of 1F1B's 6 (p − 1).
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, few = 2 * std::max(0, p / 2 + 1 - shape.microbatches);
  const int bubble = p == 1 ? 0 : std::min(4 * p - 5, 3 * p - (p % 2 == 0 ? 3 : 4) + few);
  return VTheory(shape, costs, {bubble, bubble}, Cap(p));
}

}  // namespace

const Family kVHalfFamily{ScheduleKind::kVHalf, "v_half", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
