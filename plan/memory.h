#pragma once

#include <vector>

#include "plan/metrics.h"
#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// Bytes that one layer of a program holds on one rank.
struct LayerBytes {
  Bytes parameters;       // stored, unsharded
  Bytes kept;             // from forward to the end of backward, per microbatch
  Bytes kept_statistics;  // of `kept`, what the papers' tables leave out
  Bytes kept_for_weight;  // from backward-input to backward-weight, where a schedule splits them
  // Most bytes alive within one pass; where a schedule splits the backward pass, within its first half.
  Bytes forward_workspace, backward_workspace, backward_input_workspace;
};
/// How memory is held. kFramework: as PyTorch and its like do on a GPU: products of weight gradients go to a buffer of
/// their own before they are added up, and what a layer frees while a pass runs serves no other layer of that pass.
/// kExact: as the executor does on a CPU: added up in place, and free is free.
enum class Holding { kFramework, kExact };
Holding HoldingOf(const Scenario& scenario);
LayerBytes BytesOf(const LayerProgram& program, Holding holding = Holding::kFramework);

/// What one stage holds for a microbatch: the sum of what its layers keep and, per pass, by how much the fullest
/// instant within it exceeds that sum. A layer keeps its activations from its own forward pass to the end of its own
/// backward pass. With activations offloaded, two layers' stay: the one at work and the one on its way.
///
/// layers  [program]
struct StageBytes {
  Bytes kept, kept_for_weight, forward_workspace, backward_workspace, backward_input_workspace;
  Bytes away;  // kept outside the GPU
};
StageBytes BytesOf(const Strategy& strategy, const std::vector<LayerBytes>& layers, const StageContent& stage,
                   Holding holding);

/// Messages on their way in and out of a pipeline rank, one each; held exactly, parts where tensor ranks send one each.
Bytes MessageBuffers(const Scenario& scenario);

/// Memory of every pipeline rank at its fullest instant. Walks each rank's order once: kept activations rise with a
/// forward pass and fall with the backward pass that ends with them, whatever the times are.
std::vector<StageMemory> MemoryOf(const Scenario& scenario, const Plan& plan);

/// Bytes alive on one rank before each task of its order and after the last: what memory over time is drawn from.
std::vector<Bytes> MemoryByTask(const Scenario& scenario, const Plan& plan, int rank);

}  // namespace isochrone::plan
