#pragma once

#include <vector>

#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// Tasks of one rank's data stream that are alike: reductions of a chunk's gradients, bucket by bucket beside its last
/// backward pass as their layers finish, or gathers of its parameters, each needed when the chunk's first forward pass
/// reaches it.
struct SideRun {
  Op op;  // of one bucket
  int chunk = 0, count = 1;
  bool gathers = false;
};

/// What one rank has to do around the pipeline, before its first task, beside its tasks and after its last.
struct RankStep {
  std::vector<Op> prologue, epilogue;
  std::vector<SideRun> side;
};

/// [rank] of `plan`, by its layout, placement, programs and stages: gradient reduction (bucketed beside the last
/// backward passes, or after them), the tied table's reduction, gradient norm and clipping, the optimizer, the
/// parameter gather. docs/equations.md lists the bytes.
std::vector<RankStep> StepWorkOf(const Scenario& scenario, const Plan& plan);

/// Whether all ranks wait for the norm of all gradients before they change parameters.
bool HasBarrier(const Strategy& strategy);

/// Adds StepWorkOf a plan to it.
/// Requires  no such work is in it yet
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
