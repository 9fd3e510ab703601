#pragma once

#include <array>

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

/// When a rank would run the four passes of microbatch 0, in units of one pass; microbatch i follows 6 i later.
/// Order: forward chunk 0, forward chunk 1, backward chunk 1, backward chunk 0.
using VPattern = std::array<int, 4>;

/// A schedule of two chunks in a V from a repeating pattern. Each rank, when it is free, runs of those passes whose
/// input is there the one that the pattern has first; weight passes fill the gaps. A forward pass waits while the rank
/// holds `cap` activations, of which one is kept free for each forward pass that the pattern has before it. All passes
/// count as equally long.
///
/// Source  the building blocks of Qi et al., "Pipeline Parallelism with Controllable Memory", arXiv 2405.15362; they
///         squeeze and reorder the ends of the repeated pattern, for which this list scheduling stands.
Schedule BuildFromVPattern(const ScheduleShape& shape, VPattern (*pattern)(int ranks, int rank), int cap);

/// makespan ≤ (6 m + bubble) max(F, I, W) and span ≤ makespan, a bound: `bubble` in passes is what the list scheduling
/// needs beyond its work when all passes take equally long. Peak ≤ cap, in activations of one chunk.
ScheduleTheory VTheory(const ScheduleShape& shape, const StageCosts& costs, int bubble, int cap);

}  // namespace isochrone::plan::schedules
