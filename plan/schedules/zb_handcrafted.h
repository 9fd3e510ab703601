#pragma once

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

/// The handcrafted zero-bubble orders. Rank r warms up with `warmup(r)` forward passes, then alternates one backward
/// input pass and one forward pass. A weight pass runs when the next forward pass would hold more than `cap`
/// microbatches alive; the rest fill the end, one after each backward input pass, then the remaining ones.
///
/// Source  Qi et al., "Zero Bubble Pipeline Parallelism", arXiv 2401.10241, section 2.
Schedule BuildHandcraftedZb(const ScheduleShape& shape, int (*warmup)(int ranks, int rank), int cap);

}  // namespace isochrone::plan::schedules
