#pragma once

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

/// Order of one rank of DualPipe or DualPipeV, as eight runs of passes through two chunks, "near" and "far". A forward
/// and a backward pass overlap in the middle; near both ends backward passes are split and weight passes fill gaps.
///
/// half     depth of half the pipeline: p / 2 for DualPipe, p for DualPipeV
/// rank     distance from the outer end, 0 … half − 1
/// n        microbatches that pass each chunk, at least 2 · half
/// Source  DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv 2412.19437, section 3.2.1 and Figure 5; the runs and
/// their
///         lengths as published with the DualPipe library.
struct DualPass {
  Phase phase;
  bool far, far_b;  // which chunk; far_b: of the backward half of an overlapped pair
  int microbatch, microbatch_b;
};
std::vector<DualPass> DualPipeOrder(int half, int rank, int n);

/// Of the pipeline whose halves are `half` deep, with n microbatches through each of a rank's two chunks.
///
///   makespan = work of a middle rank + (half − 1)(F&B + F − 2 W)
///   work     = (2 half + 1)(F + I + W) + (2 n − 2 half − 1) F&B on a middle rank
///
/// F&B     time of an overlapped pair
/// Exact   for F ≥ I ≥ W and F + I ≤ F&B ≤ F + I + W; where F = I the bubble is the report's (p/2 − 1)(F&B + B − 3 W),
///         with B = I + W. Otherwise times are raised to the nearest that satisfy this, and the result is a bound.
/// Peak    2 half + 1 activations.
ScheduleTheory DualPipeTheory(int half, int n, const StageCosts& costs);

}  // namespace isochrone::plan::schedules
