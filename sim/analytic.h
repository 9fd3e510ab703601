#pragma once

#include "plan/schedule.h"
#include "sim/order_paths.h"
#include "sim/stage_times.h"

namespace isochrone::sim {

struct PipelineEstimate {
  double makespan = 0;  // of the pipeline part, from the first task's start to the last one's end
  double ideal = 0;     // work of the busiest rank
  int busiest = 0;      // that rank
  double bubble = 0;    // fill and drain of a pipeline of equal stages and free messages
  double messages = 0;  // what messages add
  double late = 0;      // how much the makespan exceeds the longest of the ranks' own spans, first start to last end
  bool exact = false;   // equals the event engine: equal stages, and a schedule with a closed form
  double Sum() const { return ideal + bubble + messages; }
};

/// Makespan of the pipeline part in closed form.
///
///   makespan = m t_max + bubble + c E
///
/// t_max   work per microbatch of the busiest rank
/// bubble  GPipe, 1F1B: Σ t_s − t_max, which with m t_max makes (m − 1) t_max + Σ t_s; others: plan::TheoryOf for the
///         mean stage, and where that has only a bound: zb_1p as ZB-H1, zb_2p (p − 1) F
/// c, E    time of a message, and how many of them the step waits for:
///
///   schedule     kOverlapped                                        kBlocking
///   GPipe        2 (p − 1)                                          2 (p − 1) + 2 (m − 1)
///   1F1B         2 (p − 1)(q + 1) + 2 max(0, r − 1), m − 1 = q p + r  2 (p − 1) + 2 (m − 1) − 1; p = 2: m + 1
///   interleaved  2 (v p − 1)                                        (2 v + 1) p − 3 + (2 v − 1)(m − p)
///   zb_1p        4 (p − 1)                                          3 m + p − 4
///   zb_2p        p − 1                                              2 m − p
///
/// late    of ZB-H2 and zb_2p, whose ranks' spans are shifted against each other: (p − 1)(F − max(0, F + I − 2 W)), or
/// 0
///
/// ZB-H1, ZB-H2, V and DualPipe orders, unless stages are equal, messages free and the theory exact: the longest of
/// their order's paths (sim/order_paths.h).
///
/// Exact for equal stages where the schedule's theory is; with messages for GPipe, 1F1B and, overlapped, interleaved
/// 1F1B, as long as a message takes at most a quarter of a pass. Otherwise an estimate: for transformer stages that
/// differ by a tenth with a last one a fifth longer, within 1 % of the engine along paths, 5 % for other schedules of
/// one chunk a rank, and 11 % for interleaved 1F1B.
///
/// paths   of the order, found at probes like `times`; null: they are found at `times` themselves, by playing the order
/// Allocates nothing where `paths` is given or not needed. Requires a shape that plan::BuildSchedule accepts.
PipelineEstimate EstimatePipeline(const plan::ScheduleShape& shape, const StageTimes& times,
                                  const OrderPaths* paths = nullptr);

/// True for ZB-H1, ZB-H2, the V and the DualPipe orders.
bool HasPaths(plan::ScheduleKind kind);

}  // namespace isochrone::sim
