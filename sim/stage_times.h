#pragma once

#include <algorithm>
#include <span>

#include "plan/plan.h"

namespace isochrone::sim {

/// A forward and a whole backward pass of two microbatches run as one take as long as the longer of their compute and
/// of what does not hide in it, each summed over both passes. [kind], in seconds; empty: the two passes' sum.
struct PairTimes {
  std::span<const double> forward_compute, forward_exposed, backward_compute, backward_exposed;
};

/// Times of the passes of one microbatch, one array entry per kind of stage: stages of one kind take the same time. All
/// in seconds.
struct StageTimes {
  std::span<const double> forward, input, weight;  // input + weight: a backward pass in two halves
  std::span<const double> backward = {};           // whole; empty: input + weight
  double message = 0;                              // between neighbouring stages
  plan::MessageMode mode = plan::MessageMode::kOverlapped;
  PairTimes pair = {};
  /// [stage] in forward order: ranks · chunks stages, or `ranks` where the schedule has two directions. Empty: each
  /// stage is of a kind of its own.
  std::span<const int> kind_of = {};
  std::span<const int> stages = {};  // [kind] how many are of it; empty where kind_of is

  std::size_t KindOf(std::size_t stage) const {
    return kind_of.empty() ? stage : static_cast<std::size_t>(kind_of[stage]);
  }
  int StagesOf(std::size_t kind) const { return stages.empty() ? 1 : stages[kind]; }

  double Backward(std::size_t kind) const { return backward.empty() ? input[kind] + weight[kind] : backward[kind]; }
  /// Forward of a stage of one kind and whole backward of one of another as one.
  double Pair(std::size_t kind, std::size_t kind_b) const {
    if (pair.forward_compute.empty()) return forward[kind] + Backward(kind_b);
    return std::max(pair.forward_compute[kind] + pair.backward_compute[kind_b],
                    pair.forward_exposed[kind] + pair.backward_exposed[kind_b]);
  }
};

}  // namespace isochrone::sim
