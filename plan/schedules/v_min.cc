// V-Min: about a third of the activations of 1F1B, ⌈2 p / 3⌉ + 2 chunks of 2 p. In the pattern a pass moves on every
// unit. Source  Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362.
#include <algorithm>

#include "plan/schedules/v_pattern.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 2, "give 2 chunks a rank"); }

VPattern Pattern(int p, int rank) {
  const int turn = p % 3 == 0 ? 2 : 0;  // keeps the four passes apart modulo 6
  return {rank, 2 * p - 1 - rank, 2 * p + turn + rank, 4 * p - 1 + turn - rank};
}

int Cap(int p) { return std::min(2 * p, (2 * p + 2) / 3 + 2); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks;
  return VTheory(shape, costs, 4 * p + 2, Cap(p));
}

}  // namespace

const Family kVMinFamily{ScheduleKind::kVMin, "v_min", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
