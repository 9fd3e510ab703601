#pragma once

#include <span>
#include <vector>

#include "plan/plan.h"
#include "plan/schedule.h"
#include "sim/order_graph.h"
#include "sim/stage_times.h"

namespace isochrone::sim {

/// The longest paths through a schedule's order, for orders whose makespan has no closed form in uneven stages.
///
/// The makespan of a fixed order is the longest of its paths, and each path a sum of counts times seconds:
///
///   makespan = max_k ( Σ_i (n_ki + (m − m') r_ki) x_i + (n_kc + (m − m') r_kc) c )
///
/// x_i      seconds of a pass of a kind of stage, or of an overlapped pair of two kinds
/// c        seconds of a message
/// n, r     how often path k holds them, and how many more for each further microbatch: beyond m' a path repeats the
///          circuit that it goes round in the steady state. m' = 2 p + 4, ZB-H1 p + 4, DualPipe max(3 p, 2 p + 8)
///
/// Paths are found by playing the order at a few sets of times ("probes") and walking back from its end. Exact at the
/// probes as far as the steady state is reached, a lower bound elsewhere, and near where the probes are like the times.
class OrderPaths {
 public:
  /// kind     [stage] which stages take the same time: numbers from 0 in order of their first stage
  /// probes   times of all stages, of one message mode
  /// core     of the order of a shape's Core
  OrderPaths(const OrderGraph& core, std::span<const int> kind, std::span<const StageTimes> probes);

  /// The shape of which the orders of `shape`, and of all that differ in microbatches beyond m', are continuations.
  static plan::ScheduleShape Core(const plan::ScheduleShape& shape);

  struct Length {
    double makespan = 0, messages = 0;  // seconds; the second is the messages' part of the first
    double ideal = 0;                   // work of the busiest rank
  };
  /// `times` of stages of the same kinds; `microbatches` of a shape with the same Core. Allocates nothing.
  Length LongestOf(const StageTimes& times, int microbatches) const;

 private:
  /// How often a path holds something, and how many more for each further microbatch.
  struct Times {
    double count = 0, more = 0;
    bool operator==(const Times&) const = default;
  };
  using Path = std::vector<Times>;  // [kind of work], and of messages
  class Counter;

  void CountRanks(const OrderGraph& graph, const std::vector<int>& of_work);
  int NumberOf(plan::Phase phase, int kind, int kind_b);
  double SecondsOf(const StageTimes& times, std::size_t work) const;
  /// Appends `path` to `all` where it is not there yet.
  static void Add(const Path& path, std::vector<Times>& all);
  /// Of one path without its messages, in seconds; `further` microbatches beyond the core's.
  double Sum(const Times* path, double further, const double* seconds) const;

  int microbatches_ = 1, directions_ = 1;  // of the core
  std::vector<int> first_stage_;           // [kind]
  /// Kinds of work that some path holds: a phase of a kind of stage, or a pair of kinds.
  struct Work {
    plan::Phase phase;
    int kind = 0, kind_b = 0;
    bool operator==(const Work&) const = default;
  };
  std::vector<Work> works_;
  std::vector<Times> paths_;  // one after another
  std::vector<Times> ranks_;  // all work of a rank, likewise
};

}  // namespace isochrone::sim
