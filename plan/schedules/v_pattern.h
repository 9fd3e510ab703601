#pragma once

#include <array>

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

/// When a rank would run the four passes of microbatch 0, in units of one pass; microbatch i follows 6 i later.
/// Order: forward chunk 0, forward chunk 1, backward chunk 1, backward chunk 0.
using VPattern = std::array<int, 4>;

/// A schedule of two chunks in a V from a repeating pattern, squeezed: each rank runs its passes in the order of the
/// pattern's times, each as soon as its input is there; where it is not yet, a weight pass fills the gap. A forward
/// pass waits while the rank holds `cap` activations, until a weight pass has freed one. All passes count as equally
/// long.
///
/// Source  the building blocks of Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362, and
///         their squeezing (section 3.4).
Schedule BuildFromVPattern(const ScheduleShape& shape, VPattern (*pattern)(int ranks, int rank), int cap);

/// What a V order needs beyond its work where all passes take equally long, in passes.
struct VBubble {
  int makespan = 0, span = 0;
};

/// makespan = (6 m + bubble) max(F, I, W), span likewise; exact for F = I = W, else a bound. Peak min(cap, 2 m), in
/// activations of one chunk.
ScheduleTheory VTheory(const ScheduleShape& shape, const StageCosts& costs, VBubble bubble, int cap);

}  // namespace isochrone::plan::schedules
