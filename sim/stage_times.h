#pragma once

#include <algorithm>
#include <span>

#include "plan/plan.h"

namespace isochrone::sim {

/// A forward and a whole backward pass of two microbatches run as one take as long as the longer of their compute and
/// of what does not hide in it, each summed over both passes. [stage], in seconds; empty: the two passes' sum.
struct PairTimes {
  std::span<const double> forward_compute, forward_exposed, backward_compute, backward_exposed;
};

/// Times of the passes of one microbatch, one array entry per stage in forward order: ranks · chunks stages, or `ranks`
/// where the schedule has two directions. All in seconds.
struct StageTimes {
  std::span<const double> forward, input, weight;  // input + weight: a backward pass in two halves
  std::span<const double> backward = {};           // whole; empty: input + weight
  double message = 0;                              // between neighbouring stages
  plan::MessageMode mode = plan::MessageMode::kOverlapped;
  PairTimes pair = {};

  double Backward(std::size_t stage) const { return backward.empty() ? input[stage] + weight[stage] : backward[stage]; }
  /// Forward of one stage and whole backward of another as one.
  double Pair(std::size_t stage, std::size_t stage_b) const {
    if (pair.forward_compute.empty()) return forward[stage] + Backward(stage_b);
    return std::max(pair.forward_compute[stage] + pair.backward_compute[stage_b],
                    pair.forward_exposed[stage] + pair.backward_exposed[stage_b]);
  }
};

}  // namespace isochrone::sim
