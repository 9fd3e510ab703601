#pragma once

#include <vector>

#include "plan/program.h"

namespace isochrone::executor {

/// Buffers that may be dropped after each op of a list: [op] -> buffers read or written for the last time.
using Releases = std::vector<std::vector<int>>;

/// When a layer's buffers end their lives. Task buffers go with the last op that uses them, unless another pass or
/// layer needs them; what a microbatch keeps goes with the end of its backward pass.
struct Liveness {
  Releases forward, recompute, backward, backward_input, backward_weight;
  /// Held after the input half, but not read by the weight half: dropped between them.
  std::vector<int> after_backward_input;
};
Liveness LivenessOf(const plan::LayerProgram& program);

}  // namespace isochrone::executor
