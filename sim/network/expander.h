#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/network/crossing_groups.h"
#include "sim/network/expand.h"

namespace isochrone::sim::network {

/// Builds an ExpandedStep: prologue, tasks, messages, side tasks, epilogue, in that order. A unit is a replica of a
/// pipeline rank, numbered rank · replicas + replica; a lane is one of its tensor ranks.
class Expander {
 public:
  Expander(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
           const std::vector<int>& host_of_rank, const StepCollectives& inside);
  ExpandedStep Take() { return std::move(step_); }

 private:
  struct TaskEnds {
    int first = -1, last = -1;  // activities
  };
  /// A point of a rank's order that a side task, or a collective of the rank's tasks, starts after or is waited for at.
  struct Anchored {
    int task = 0;
    double progress = 0;
    bool release = true;
    int side = 0;          // index into Plan::side, or into task_collectives_ of the rank
    bool in_task = false;  // the latter
  };
  /// Activities of a unit at those two points.
  struct SideGates {
    int release = -1, before = -1;
  };
  struct StepOps {
    const std::vector<std::vector<plan::Op>>& ops;
    const std::vector<std::vector<double>>& seconds;
    plan::SpanKind kind;
  };

  // expander.cc: the pipeline
  void AddTasks();
  void AddUnitTasks(int unit, const std::vector<Anchored>& anchors);
  void AddAnchor(int unit, const Anchored& anchor);
  void AddMessages();
  void SendAfter(int rank, int position, int chunk, int microbatch, bool backward);
  void AddMessage(int from, int position, int to, int consumer);
  void EndTasks();
  std::vector<Anchored> AnchorsOf(int rank) const;  // of side tasks
  static void Sort(std::vector<Anchored>* anchors);
  double WorkOf(int rank, const plan::Task& task) const;
  double Alone(int from, int to);

  // expander_groups.cc: collectives inside tasks
  void ThinOut();
  const std::vector<TaskCollective>& CollectivesOf(int rank, const plan::Task& task) const;
  void AddTaskAnchors(int rank, std::vector<Anchored>* anchors);
  void AddTaskAnchor(int unit, const Anchored& anchor);
  void AddTaskCollectives();
  void AddTaskCollective(const TaskCollective& c, const CrossingGroup& group, double rest, int index);

  // expander_ops.cc: side tasks, prologue, epilogue
  void AddSideTasks();
  void AddOps(const StepOps& step, bool barrier);
  void AddNext(const StepOps& step, const std::vector<int>& ranks, std::vector<std::size_t>* at);
  void Meet(const std::vector<int>& ranks);
  bool IsPlayed(const plan::Op& op);
  /// Adds `op` on all replicas of `ranks`; unit u starts after begin[u] (-1: at once) and ends with the result.
  std::vector<int> AddOp(const plan::Op& op, const std::vector<double>& seconds, const std::vector<int>& ranks,
                         const std::vector<int>& begin);
  std::vector<int> AddCollective(const plan::Op& op, const std::vector<int>& ranks, const std::vector<int>& begin);

  /// Puts `activity` at the end of the unit's compute stream.
  int Chain(int unit, int activity);
  int Instant(int unit) { return step_.graph.AddCompute(HostOf(unit, 0), Seconds(0)); }
  void After(int before, int after) {
    if (before >= 0) step_.graph.AddDependency(before, after);
  }
  int Units() const { return ranks_ * replicas_; }
  int WorldRank(int unit, int lane) const;
  int UnitOf(int world_rank) const;
  int HostOf(int unit, int lane) const { return host_of_rank_[WorldRank(unit, lane)]; }
  bool IsShown(int unit) const { return unit % replicas_ == 0; }
  int NameOf(const plan::Op& op);

  const plan::Plan& plan_;
  const StepCosts& costs_;
  const Topology& topology_;
  const std::vector<int>& host_of_rank_;
  StepCollectives inside_;
  CrossingGroupTable groups_;
  int ranks_, replicas_, lanes_, chunks_;
  ExpandedStep step_;
  std::vector<int> tail_;                      // [unit] last activity of the compute stream, -1: none
  std::vector<int> before_tasks_;              // [unit]
  std::vector<std::vector<TaskEnds>> tasks_;   // [unit][position in the order]
  std::array<std::vector<int>, 2> position_;   // [backward][slot · microbatches + microbatch] in the rank's order
  std::vector<int> sending_;                   // [unit · lanes + lane] its last message, -1: none
  std::vector<std::vector<SideGates>> gates_;  // [side task][replica]
  std::vector<std::vector<const TaskCollective*>> task_collectives_;  // [rank], in the order of its tasks
  std::vector<std::vector<SideGates>> task_gates_;                    // [unit][as task_collectives_]
  std::unordered_map<int, double> alone_;  // [from unit · units + to unit] seconds of a message alone
  Seconds beside_link_{0};                 // of a message: the host, and gathering its parts once they are there
};

}  // namespace isochrone::sim::network
