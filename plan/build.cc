// A plan from blocks: the order of tasks, and the work beside the pipeline.
#include "plan/build.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/stages.h"
#include "plan/step_program.h"

namespace isochrone::plan {

Bytes MessageBytes(const Scenario& s) {
  const std::int64_t tokens = s.batch.microbatch * s.model.sequence / s.strategy.context;
  const std::int64_t rows = s.strategy.sequence_parallel ? tokens / s.strategy.tensor : tokens;
  const bool wide = s.strategy.precision == Dtype::kFp32 || s.strategy.precision == Dtype::kTf32;
  const Bytes element = s.strategy.precision == Dtype::kFp64 ? Bytes(8) : wide ? Bytes(4) : Bytes(2);
  return static_cast<double>(rows) * static_cast<double>(s.model.hidden) * element;
}

bool ScattersMessages(const Strategy& s) { return s.scatter_gather && !s.sequence_parallel && s.tensor > 1; }

SlotParameters ParametersOf(const Plan& plan, int rank, int chunk) {
  SlotParameters sum;
  const int stage = plan.schedule.placement.StageOf(rank, chunk);
  for (const Section& section : plan.stages[static_cast<std::size_t>(stage)].sections) {
    for (const Buffer& b : plan.programs[static_cast<std::size_t>(section.program)].buffers) {
      if (b.kind != BufferKind::kParameter || b.borrowed) continue;
      const double n = section.count * b.Elements();
      (b.expert ? sum.expert : sum.dense) += n;
      if (b.partial_over_tensor) sum.partial_over_tensor += n;
      if (b.name == "embedding.weight" || b.name == "logits.weight") sum.tied_table += n;
    }
  }
  return sum;
}

Plan BuildPlan(const Scenario& s, Blocks blocks, const StageCosts& costs) {
  const Strategy& strategy = s.strategy;
  Plan plan;
  plan.layout = LayoutOf(s);
  plan.programs = std::move(blocks.programs);
  plan.stages = std::move(blocks.stages);
  plan.schedule = strategy.schedule == ScheduleKind::kText ? ParseSchedule(strategy.schedule_text, s.file)
                                                           : BuildSchedule({.kind = strategy.schedule,
                                                                            .ranks = strategy.pipeline,
                                                                            .chunks = ChunksOf(strategy),
                                                                            .microbatches = s.Microbatches()},
                                                                           costs);
  plan.messages = MessageModeOf(strategy);
  plan.message_bytes = MessageBytes(s);
  plan.message_scatter_gather = ScattersMessages(strategy);
  AddStepWork(s, plan);
  return plan;
}

MessageMode MessageModeOf(const Strategy& strategy) {
  return strategy.overlap_pipeline ? MessageMode::kOverlapped : MessageMode::kBlocking;
}

Plan BuildPlan(const Scenario& scenario, const StageCosts& costs) {
  return BuildPlan(scenario, BuildBlocks(scenario), costs);
}

}  // namespace isochrone::plan
