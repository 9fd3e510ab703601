// V-Half: about half the activations of 1F1B, p + 2 chunks of 2 p. In the pattern a pass moves on every 2 units down
// the V and every unit up. Source  Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362.
#include <algorithm>

#include "plan/schedules/v_pattern.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 2, "give 2 chunks a rank"); }

VPattern Pattern(int p, int rank) {
  const int turn = p % 2 == 0 ? 3 : 0;  // keeps the four passes apart modulo 6
  return {2 * rank, 3 * p - 2 - rank, 3 * p - 1 + turn + 2 * rank, 6 * p - 2 + turn - rank};
}

int Cap(int p) { return std::min(2 * p, p % 2 == 0 ? p + 2 : p + 1); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, m = shape.microbatches;
  return VTheory(shape, costs, m < p ? 4 * p : 3 * p + p / 4 + 2, Cap(p));
}

}  // namespace

const Family kVHalfFamily{ScheduleKind::kVHalf, "v_half", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
