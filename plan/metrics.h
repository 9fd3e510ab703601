#pragma once

#include <string>
#include <vector>

#include "base/units.h"

namespace isochrone::plan {

/// Every instant of the reported rank is exactly one of these; they add up to the step.
struct Attribution {
  Seconds compute, recompute, tensor, context, expert, pipeline, data, copy, optimizer, host, bubble;
  Seconds Sum() const {
    return compute + recompute + tensor + context + expert + pipeline + data + copy + optimizer + host + bubble;
  }
};

/// Bytes on one GPU of one pipeline stage at its fullest instant.
struct StageMemory {
  int stage = 0;
  Bytes parameters, gradients, optimizer, activations, workspace, communication, framework;
  Bytes host, nvme;  // of this GPU's state, outside of it
  Bytes Total() const {
    return parameters + gradients + optimizer + activations + workspace + communication + framework;
  }
};

struct Metrics {
  Seconds step_time;  // steady-state period from one optimizer update to the next
  Seconds low, high;  // 80 % interval
  Seconds makespan;   // of a lone step
  double tokens_per_s = 0;
  Flops model_flops;     // of the whole step and cluster; docs/equations.md says what is counted
  Flops hardware_flops;  // with recomputation
  double model_tflops_per_gpu = 0, mfu = 0, hfu = 0;
  double bubble_over_ideal = 0, bubble_over_total = 0;
  Attribution attribution;
  int reported_rank = 0;
  std::vector<StageMemory> memory;
  Bytes memory_capacity;
  std::vector<std::string> warnings;
};

}  // namespace isochrone::plan
