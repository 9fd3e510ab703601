#pragma once

#include <array>
#include <vector>

#include "plan/plan.h"
#include "plan/timeline.h"
#include "sim/event.h"

namespace isochrone::sim {

/// The side tasks of one rank while its compute stream goes through its tasks. Time only moves forward: the rank says
/// until when it waited and how much it computes, and gets back when that has ended.
class SideStreams {
 public:
  SideStreams(const plan::Plan& plan, int rank);

  bool Empty() const { return tasks_.empty(); }
  /// The task that the next anchor lies in; one past every task if none is left.
  int NextTask() const { return next_ < anchors_.size() ? anchors_[next_].task : kNoTask; }

  /// Begins a step; returns when the first task may start. Adds to `use`.
  double Start(const StepCosts& costs, double now, RankUse& use);

  /// Runs task `index` from `start`, which takes `work` seconds when alone. Returns its end; adds to `use`.
  double Run(int index, double start, double work, RankUse& use);
  /// The rank has ended its tasks: reaches what is left and waits for every side task.
  double Finish(double now, RankUse& use);

  void AppendSpans(plan::Timeline& timeline) const;

 private:
  static constexpr int kNoTask = 0x7fffffff, kBegin = -1, kEnd = kNoTask - 1;
  struct Anchored {
    int task;
    double progress;
    bool release;  // `after` of the side task; else its `before`
    int side;      // index into tasks_
  };
  struct Queued {
    int index;  // into Plan::side
    plan::Stream stream;
    double left = 0, start = -1, end = -1;
    bool released = false;
  };

  void Reach(const Anchored& anchor, RankUse& use);
  void Compute(double work);
  double WaitFor(int side);
  /// Moves streams on to `until` at `rate` seconds of side work a second.
  void Move(double until, double rate);
  double NextEnd(double rate) const;
  /// Starts what may start; false if no side task runs.
  bool FindActive();

  const plan::Plan& plan_;
  int rank_;
  double compute_slowdown_ = 1, side_slowdown_ = 1, now_ = 0;
  std::vector<Queued> tasks_;
  std::vector<Anchored> anchors_;  // in the order in which they are reached
  std::size_t next_ = 0;
  std::array<std::vector<int>, plan::kStreams> queue_;  // indices into tasks_; none on the compute stream
  std::array<std::size_t, plan::kStreams> head_{};
  std::array<Queued*, plan::kStreams> active_{};
};

}  // namespace isochrone::sim
