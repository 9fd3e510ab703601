#pragma once

#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// Adds what surrounds the pipeline to `plan`: gradient reduction (bucketed beside the last backward passes, or after
/// them), the tied table's reduction, gradient norm and clipping, the optimizer, the parameter gather.
/// docs/equations.md lists the bytes.
void AddStepWork(const Scenario& scenario, Plan& plan);

/// Bytes per local parameter before sharding over `shards` ranks, as Megatron's distributed optimizer counts them.
///
///   fp16 parameters and gradients   4 + 16/d      bf16 parameters, fp32 gradients   6 + 12/d      fp32   8 + 8/d
///
/// Source  Megatron-LM, docs: distributed optimizer.
struct StateBytes {
  double parameter = 2, gradient = 2, optimizer = 16;
};
StateBytes StateBytesOf(const Strategy& strategy);

}  // namespace isochrone::plan
