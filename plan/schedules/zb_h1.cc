// ZB-H1: 1F1B with split backward passes; weight passes wait as long as no rank holds more than p activations.
// Source  Qi et al., "Zero Bubble Pipeline Parallelism", arXiv 2401.10241, section 2.1 and Figure 2.
#include <algorithm>

#include "plan/schedules/zb_handcrafted.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 1, "give 1 chunk a rank, or take zb_v with 2"); }

int Warmup(int ranks, int rank) { return ranks - rank; }

Schedule Build(const ScheduleShape& shape, const StageCosts&) { return BuildHandcraftedZb(shape, Warmup, shape.ranks); }

/// bubble = (p − 1)(F + I − W),  peak = min(p, m);  exact for m ≥ p and W ≤ F, W ≤ I, else that of 1F1B is the bound.
ScheduleTheory Theory(const ScheduleShape& shape, const StageCosts& costs) {
  const int p = shape.ranks, m = shape.microbatches;
  const bool exact = m >= p && costs.backward_weight <= Min(costs.forward, costs.backward_input);
  const Seconds ideal = m * StageTime(costs);
  const Seconds bubble =
      (p - 1) * (exact ? costs.forward + costs.backward_input - costs.backward_weight : StageTime(costs));
  return {exact, ideal + bubble, ideal + bubble, ideal, double(std::min(p, m))};
}

}  // namespace

const Family kZbH1Family{ScheduleKind::kZbH1, "zb_h1", Check, Build, Theory};

}  // namespace isochrone::plan::schedules
