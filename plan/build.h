#pragma once

#include <array>
#include <vector>

#include "plan/plan.h"
#include "plan/scenario.h"
#include "plan/tape.h"

namespace isochrone::plan {

/// What each stage holds, before any order is known: programs and, per virtual stage, sections of them.
struct Blocks {
  std::vector<LayerProgram> programs;
  std::vector<StageContent> stages;
};

/// Virtual stages of a scenario: pipeline ranks times chunks (a bidirectional schedule holds a second copy of the same
/// stages).
int VirtualStages(const Scenario& scenario);

/// What every layer of the scenario has in common on one rank. Refers to `scenario`, which must outlive it.
LayerContext ContextOf(const Scenario& scenario);

/// Every layer program of a scenario, and which one each layer takes, wherever stages are cut: a cut decides only
/// which of two heads there is.
struct ProgramTable {
  std::vector<LayerProgram> programs;
  int embedding = 0;
  int head = -1, lone_head = -1;          // of several stages; of one, where it may use the embedding's table
  std::vector<std::array<int, 2>> layer;  // [layer]: among the layers that its stage recomputes, and beyond them
  std::vector<int> multi_token;           // after the last layer
  int recompute_layers = 0;               // of each stage; 0: all
};
/// With the head of the scenario's number of stages.
ProgramTable BuildPrograms(const Scenario& scenario);
/// With both heads, and without what AddStateTraffic adds.
ProgramTable BuildBarePrograms(const Scenario& scenario);
/// Adds to every layer's passes what sharded or offloaded state asks for (plan/layer_traffic.h).
void AddStateTraffic(const Scenario& scenario, ProgramTable& table);

/// Lays the layers over stages of these numbers of layers. Embedding and head are on the first and the last.
std::vector<StageContent> LayOut(const ProgramTable& table, const std::vector<int>& split);

/// Builds every layer program that the scenario needs and lays its layers over the stages. Throws Error.
Blocks BuildBlocks(const Scenario& scenario);

/// Bytes of one pipeline message on one rank: the activations of a microbatch, or their gradient.
Bytes MessageBytes(const Scenario& scenario);
MessageMode MessageModeOf(const Strategy& strategy);
/// Whether a pipeline message is cut among the tensor-parallel ranks.
bool ScattersMessages(const Strategy& strategy);

/// Blocks, schedule, messages, side tasks, prologue and epilogue. `costs` matter only to a schedule that looks at them.
/// Requires  Check(scenario) passed
Plan BuildPlan(const Scenario& scenario, const StageCosts& costs = {});

/// The same from blocks built before.
Plan BuildPlan(const Scenario& scenario, Blocks blocks, const StageCosts& costs);

/// Local parameters of one (pipeline rank, chunk), by how their gradients are reduced. Tied tables count where they are
/// used.
struct SlotParameters {
  double dense = 0, expert = 0;
  double partial_over_tensor = 0;  // of the dense ones, those added over tp after the step
  double tied_table = 0;           // of the dense ones, the table shared with the other end of the pipeline
};
SlotParameters ParametersOf(const Plan& plan, int rank, int chunk);

}  // namespace isochrone::plan
