#pragma once

#include <algorithm>
#include <limits>

#include "plan/plan.h"
#include "sim/event.h"

namespace isochrone::sim {

/// What the tests of this folder share: plans that are a schedule and nothing else, and uniform costs.

inline plan::Plan PlanOf(plan::Schedule schedule, plan::MessageMode messages = plan::MessageMode::kOverlapped) {
  plan::Plan p;
  p.schedule = std::move(schedule);
  p.messages = messages;
  return p;
}

inline plan::Plan PlanOf(plan::ScheduleKind kind, int ranks, int chunks, int microbatches,
                         plan::MessageMode messages = plan::MessageMode::kOverlapped) {
  return PlanOf(plan::BuildSchedule({kind, ranks, chunks, microbatches}), messages);
}

inline plan::StageCosts Costs(double forward, double input, double weight, double message = 0) {
  plan::StageCosts costs;
  costs.forward = Seconds(forward);
  costs.backward_input = Seconds(input);
  costs.backward_weight = Seconds(weight);
  costs.message = Seconds(message);
  return costs;
}

inline StepResult Uniform(const plan::Plan& p, const plan::StageCosts& costs, bool with_timeline = false) {
  return Simulate(p, UniformCosts(p.schedule, costs), with_timeline);
}

/// Longest of the ranks' own spans.
inline double SpanOf(const StepResult& result) {
  double span = 0;
  for (std::size_t rank = 0; rank < result.rank_end.size(); ++rank)
    span = std::max(span, result.rank_end[rank] - result.rank_begin[rank]);
  return span;
}

/// A shape that is legal for the kind, near the one given.
inline plan::ScheduleShape LegalShape(plan::ScheduleKind kind, int ranks, int chunks, int microbatches) {
  using plan::ScheduleKind;
  plan::ScheduleShape shape{kind, ranks, 1, microbatches};
  switch (kind) {
    case ScheduleKind::kInterleaved1f1b:
      shape.ranks = std::max(2, ranks);
      shape.chunks = std::max(2, chunks);
      break;
    case ScheduleKind::kZbV:
    case ScheduleKind::kVHalf:
    case ScheduleKind::kVMin:
      shape.chunks = 2;
      break;
    case ScheduleKind::kDualPipe:
      shape.chunks = 2;
      shape.ranks += ranks % 2;
      shape.microbatches = std::max(microbatches + microbatches % 2, 2 * shape.ranks);
      break;
    case ScheduleKind::kDualPipeV:
      shape.chunks = 2;
      shape.microbatches = std::max(microbatches, 2 * ranks);
      break;
    default:
      break;
  }
  return shape;
}

inline const plan::ScheduleKind kBuiltKinds[] = {
    plan::ScheduleKind::kGpipe,     plan::ScheduleKind::k1f1b,     plan::ScheduleKind::kInterleaved1f1b,
    plan::ScheduleKind::kZbH1,      plan::ScheduleKind::kZbH2,     plan::ScheduleKind::kZbV,
    plan::ScheduleKind::kVHalf,     plan::ScheduleKind::kVMin,     plan::ScheduleKind::kDualPipe,
    plan::ScheduleKind::kDualPipeV, plan::ScheduleKind::kZbAuto1p, plan::ScheduleKind::kZbAuto2p};

}  // namespace isochrone::sim
