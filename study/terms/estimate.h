#pragma once

#include <span>
#include <vector>

#include "plan/plan.h"
#include "plan/scenario.h"
#include "plan/schedule.h"
#include "study/terms/around.h"
#include "study/terms/in_flight.h"
#include "study/terms/pipeline_paths.h"
#include "study/terms/stage_terms.h"
#include "study/terms/step_terms.h"

namespace isochrone::study {

/// The pipeline part of a step: what does not depend on how the state is sharded.
struct PipelineTerms {
  plan::ScheduleShape shape;
  double message = 0;  // seconds between stages
  plan::MessageMode mode = plan::MessageMode::kBlocking;
  double makespan = 0, ideal = 0, bubble = 0, messages = 0;  // seconds; the first is the sum of the others
  double late = 0;                                           // seconds; sim/analytic.h
  int busiest = 0;
  bool exact = false;
};
/// `paths` of the order, for schedules that have them (sim::HasPaths).
PipelineTerms TermsOfPipeline(const plan::ScheduleShape& shape, const StageTerms& stages, double message,
                              plan::MessageMode mode, const sim::OrderPaths* paths);

/// One configuration's answer. Seconds and bytes.
struct Estimate {
  double step_time = 0;
  double ideal = 0, bubble = 0, messages = 0;  // of the pipeline
  double data = 0;                             // gradients and parameters that nothing hides
  double around = 0;                           // epilogue: reductions, norm, optimizer, gather
  double host = 0;
  double memory = 0;  // of the fullest rank
};

/// Step time in closed form: pipeline (sim/analytic.h), then what surrounds it.
///
///   step = pipeline + max_r (side_r + to_tied_r − lag_r) … barrier … + max_r (after_r + gather_r − lead_r) + host
///
/// lag_r   how much before the last rank r has ended its tasks: Σ_{s<r} backward passes (GPipe, 1F1B, interleaved),
/// else 0 lead_r  how much after the first it begins: Σ_{s<r} forward passes side_r  what gradient buckets beside the
/// last backward pass add to it, by their queue and by the slower compute gather_r  what goes before its first forward
/// pass: prologue, and parameters gathered beside the tasks before
///
/// Everything but `memory`. Allocates nothing; the only path, whoever asks.
Estimate EstimateStep(const PipelineTerms& pipeline, const AroundTerms& around, double host);

/// Without the barrier (post-validation) steps follow each other rank by rank, and the slowest sets the pace:
///
///   step = max_r (span_r + side_r + epilogue_r + gather_r) + host,  span_r = pipeline − late − lag_r − lead_r
///
/// with lag_r and lead_r of GPipe, 1F1B and interleaved 1F1B; the ranks of the others have the same span. The same
/// else.
Estimate EstimateStep(const PipelineTerms& pipeline, const StageTerms& stages, const StepTerms& step,
                      const costmodel::Slowdowns& beside_data, double host);

/// Every rank's bytes, what ActivationBytes gave and state, into `bytes`; returns the most.
double AddState(std::span<const double> activations, const StepTerms& step, std::span<double> bytes);

/// The same for one scenario, with everything built from it.
struct ScenarioEstimate {
  Estimate estimate;
  PipelineTerms pipeline;
  std::vector<double> bytes;  // [rank]
};
ScenarioEstimate EstimateOf(const plan::Scenario& scenario);

/// Bytes and seconds of one pipeline message.
struct MessageTerms {
  double bytes = 0, seconds = 0;
};
MessageTerms TermsOfMessage(const plan::Scenario& scenario, const costmodel::Costs& costs);

/// Times that the order of a scenario's tasks may look at do not change what is counted here: unit costs.
InFlight InFlightOf(const plan::Scenario& scenario);
plan::ScheduleShape ScheduleShapeOf(const plan::Scenario& scenario);

}  // namespace isochrone::study
