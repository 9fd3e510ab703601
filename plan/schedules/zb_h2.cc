// ZB-H2: more warm-up forward passes fill the wait for the first backward pass; no rank holds more than 2 p − 1
// activations. The ranks' spans are shifted against each other, so the gain shows in full only where no barrier ends
// the step. Source  Qi et al., "Zero Bubble Pipeline Parallelism", arXiv 2401.10241, section 2.2 and Figure 3.
#include <algorithm>

#include "plan/schedules/zb_handcrafted.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 1, "give 1 chunk a rank, or take zb_v with 2"); }

int Warmup(int ranks, int rank) { return 2 * (ranks - rank) - 1; }

Schedule Build(const ScheduleShape& shape, const StageCosts&) {
  return BuildHandcraftedZb(shape, Warmup, 2 * shape.ranks - 1);
}

/// span bubble = (p − 1)(F + I − 2 W),  makespan bubble = (p − 1) max(F, F + I − 2 W),  peak = min(2 p − 1, m);
/// exact for m ≥ 2 p − 1 and W ≤ F, W ≤ I, else that of 1F1B is the bound.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, m = shape.microbatches;
  const bool exact = m >= 2 * p - 1 && costs.backward_weight <= Min(costs.forward, costs.backward_input);
  const Seconds ideal = m * StageTime(costs);
  const double peak = std::min(2 * p - 1, m);
  if (!exact) return {false, ideal + (p - 1) * StageTime(costs), ideal + (p - 1) * StageTime(costs), ideal, peak};
  const Seconds bubble = (p - 1) * (costs.forward + costs.backward_input - 2 * costs.backward_weight);
  return {true, ideal + Max(bubble, (p - 1) * costs.forward), ideal + bubble, ideal, peak};
}

}  // namespace

const Family kZbH2Family{ScheduleKind::kZbH2, "zb_h2", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
