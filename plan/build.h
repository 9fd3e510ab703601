#pragma once

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

/// Builds every layer program that the scenario needs and lays its layers over the stages. Throws Error.
Blocks BuildBlocks(const Scenario& scenario);

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
