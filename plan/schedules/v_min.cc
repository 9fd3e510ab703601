// V-Min: about a third of the activations of 1F1B, 2 ⌊(p + 1) / 3⌋ + 2 chunks of 2 p. In the pattern a pass moves on
// every unit. Source  Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362.
#include "plan/schedules/v_pattern.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 2, "give 2 chunks a rank"); }

VPattern Pattern(int p, int rank) {
  const int turn = p % 3 == 0 ? 2 : 0;  // keeps the four passes apart modulo 6
  return {rank, 2 * p - 1 - rank, 2 * p + turn + rank, 4 * p - 1 + turn - rank};
}

int Cap(int p) { return 2 * ((p + 1) / 3 + 1); }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildFromVPattern(shape, Pattern, Cap(shape.ranks));
}

/// bubble = 4 p − 5 passes, 4 p − 3 where p is a multiple of 3 and m > 1, 0 for one rank;  peak min(2 ⌊(p + 1) / 3⌋ +
/// 2, 2 m). Exact for F = I = W, else with the longest pass in place of each a bound. Source  the paper's 4 (p − 1),
/// two thirds of 1F1B's 6 (p − 1).
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks;
  const int bubble = p == 1 ? 0 : 4 * p - (p % 3 == 0 && shape.microbatches > 1 ? 3 : 5);
  return VTheory(shape, costs, {bubble, bubble}, Cap(p));
}

}  // namespace

const Family kVMinFamily{ScheduleKind::kVMin, "v_min", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
