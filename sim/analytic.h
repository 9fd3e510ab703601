#pragma once

#include <span>

#include "plan/plan.h"
#include "plan/schedule.h"

namespace isochrone::sim {

/// Times of the passes of one microbatch, one array entry per stage in forward order: ranks · chunks stages, or `ranks`
/// where the schedule has two directions. All in seconds.
struct StageTimes {
  std::span<const double> forward, input, weight;  // input + weight: the whole backward pass
  std::span<const double> overlapped;              // DualPipe: forward and whole backward as one; empty: their sum
  double message = 0;                              // between neighbouring stages
  plan::MessageMode mode = plan::MessageMode::kOverlapped;
};

struct PipelineEstimate {
  double makespan = 0;  // of the pipeline part, from the first task's start to the last one's end
  double ideal = 0;     // work of the busiest rank
  int busiest = 0;      // that rank
  double bubble = 0;    // fill and drain of a pipeline of equal stages and free messages
  double messages = 0;  // what messages add
  bool exact = false;   // equals the event engine: equal stages, and a schedule with a closed form
  double Sum() const { return ideal + bubble + messages; }
};

/// Makespan of the pipeline part in closed form.
///
///   makespan = m t_max + bubble + c E
///
/// t_max   work per microbatch of the busiest rank
/// bubble  GPipe, 1F1B: Σ t_s − t_max, which with m t_max makes (m − 1) t_max + Σ t_s; others: plan::TheoryOf for the
///         mean stage, and where that has only a bound: zb_1p as ZB-H1, zb_2p and ZB-V (p − 1) F, V-Half (3 p − 1) and
///         V-Min (4 p − 1) mean passes
/// c, E    time of a message, and how many of them the step waits for:
///
///   schedule     kOverlapped                                        kBlocking
///   GPipe        2 (p − 1)                                          2 (p − 1) + 2 (m − 1)
///   1F1B         2 (p − 1)(q + 1) + 2 max(0, r − 1), m − 1 = q p + r  2 (p − 1) + 2 (m − 1) − 1; p = 2: m + 1
///   interleaved  2 (v p − 1)                                        (2 v + 1) p − 3 + (2 v − 1)(m − p)
///   ZB-H1        4 (p − 1)                                          3 m + p − 4
///   ZB-H2        p − 1                                              2 m − p
///   zb_1p as ZB-H1, zb_2p as ZB-H2; V and DualPipe schedules: m + 2 p and 3 m + 2 p, estimates
///
/// Exact for equal stages where the schedule's theory is; with messages for GPipe, 1F1B and, overlapped, interleaved
/// 1F1B, as long as a message takes at most a quarter of a pass. Otherwise an estimate: for transformer stages that
/// differ by a tenth with a last one a fifth longer, within 5 % of the engine for schedules of one chunk a rank and
/// within 11 % for those of several. Allocates nothing. Requires a shape that plan::BuildSchedule accepts.
PipelineEstimate EstimatePipeline(const plan::ScheduleShape& shape, const StageTimes& times);

}  // namespace isochrone::sim
