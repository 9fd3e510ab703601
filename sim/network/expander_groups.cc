// Collectives inside tasks, over groups that span nodes.
#include <algorithm>

#include "base/error.h"
#include "sim/network/expander.h"

namespace isochrone::sim::network {

using plan::Phase;
using plan::Task;

const std::vector<TaskCollective>& Expander::CollectivesOf(int rank, const Task& task) const {
  const int slot = rank * chunks_ + task.chunk;
  if (task.phase == Phase::kOverlapped) return StepCollectives::At(inside_.pair, slot * chunks_ + task.chunk_b);
  return StepCollectives::At(inside_.task, slot * plan::kPhases + static_cast<int>(task.phase));
}

// All of them where they are few; else as many of each task as make kMostTaskMessages.
void Expander::ThinOut() {
  double messages = 0;
  for (int rank = 0; rank < ranks_; ++rank)
    for (const Task& task : plan_.schedule.order[rank])
      for (const TaskCollective& c : CollectivesOf(rank, task)) messages += groups_.Of(c.op, c.algorithm).Hops(rank);
  const double share = messages > kMostTaskMessages ? kMostTaskMessages / messages : 1;
  for (auto* all : {&inside_.task, &inside_.pair})
    for (std::vector<TaskCollective>& one : *all) one = Merged(one, share);
}

void Expander::AddTaskAnchors(int rank, std::vector<Anchored>* anchors) {
  const std::vector<Task>& order = plan_.schedule.order[rank];
  for (int i = 0; i < static_cast<int>(order.size()); ++i) {
    const double work = WorkOf(rank, order[i]);
    for (const TaskCollective& c : CollectivesOf(rank, order[i])) {
      const double begin = c.begin / work, end = std::min(1.0, c.end / work);
      if (!(begin < end) || groups_.Of(c.op, c.algorithm).Hops(rank) == 0) continue;
      const int index = static_cast<int>(task_collectives_[rank].size());
      task_collectives_[rank].push_back(&c);
      anchors->push_back({i, begin, true, index, true});
      anchors->push_back({i, end, false, index, true});
    }
  }
  for (int replica = 0; replica < replicas_; ++replica)
    task_gates_[rank * replicas_ + replica].resize(task_collectives_[rank].size());
}

void Expander::AddTaskAnchor(int unit, const Anchored& anchor) {
  SideGates& gates = task_gates_[unit][anchor.side];
  const int worked = tail_[unit];
  (anchor.release ? gates.release : gates.before) = Chain(unit, Instant(unit));
  if (!anchor.release && IsShown(unit)) {
    const int rank = unit / replicas_;
    step_.waits.push_back({rank, task_collectives_[rank][anchor.side]->stream, worked, gates.before});
  }
}

void Expander::AddTaskCollectives() {
  for (int rank = 0; rank < ranks_; ++rank)
    for (int index = 0; index < static_cast<int>(task_collectives_[rank].size()); ++index) {
      const TaskCollective& c = *task_collectives_[rank][index];
      const CrossingGroups& groups = groups_.Of(c.op, c.algorithm);
      const double rest = c.alone - groups.seconds_per_byte * c.op.bytes.value;  // latency, and steps between
      for (const CrossingGroup& group : groups.of_rank[rank]) AddTaskCollective(c, group, rest, index);
    }
}

// The group starts together and ends together.
void Expander::AddTaskCollective(const TaskCollective& c, const CrossingGroup& group, double rest, int index) {
  std::vector<int> units;
  for (const int member : group.ranks) units.push_back(UnitOf(member));
  std::sort(units.begin(), units.end());
  units.erase(std::unique(units.begin(), units.end()), units.end());
  const int ready = Instant(units[0]), done = Instant(units[0]);
  for (const int unit : units) {
    ISO_CHECK(task_gates_[unit][index].release >= 0 && task_gates_[unit][index].before >= 0);
    After(task_gates_[unit][index].release, ready);
    After(done, task_gates_[unit][index].before);
  }
  for (const CrossingGroup::Hop& hop : group.hops) {
    const Seconds extra(std::max(0.0, rest - hop.latency.value));
    const int flow = step_.graph.AddMessage(hop.src, hop.dst, Bytes(hop.bytes * c.op.bytes.value), extra,
                                            static_cast<int>(c.stream));
    After(ready, flow);
    After(flow, done);
  }
}

}  // namespace isochrone::sim::network
