#include "sim/network/expander.h"

#include <algorithm>

#include "base/error.h"

namespace isochrone::sim::network {

using plan::Anchor;
using plan::Phase;
using plan::Task;

namespace {

constexpr int kBegin = -1, kEnd = 0x7ffffffe;  // tasks of anchors before the first and after the last one

int PlaceOf(const Anchor& anchor, int none) {
  if (anchor.task == Anchor::kStepStart) return kBegin;
  if (anchor.task == Anchor::kStepEnd) return kEnd;
  return anchor.task == Anchor::kNone ? none : anchor.task;
}

}  // namespace

Expander::Expander(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
                   const std::vector<int>& host_of_rank, const StepCollectives& inside)
    : plan_(plan),
      costs_(costs),
      topology_(topology),
      host_of_rank_(host_of_rank),
      inside_(inside),
      groups_(plan.layout, topology, host_of_rank),
      ranks_(plan.schedule.placement.ranks),
      replicas_(plan.layout.dp * plan.layout.cp),
      lanes_(plan.layout.tp),
      chunks_(plan.schedule.placement.chunks),
      tail_(Units(), -1),
      tasks_(Units()),
      sending_(static_cast<std::size_t>(Units()) * lanes_, -1),
      gates_(plan.side.size(), std::vector<SideGates>(replicas_)),
      task_collectives_(ranks_),
      task_gates_(Units()) {
  ISO_CHECK(plan.layout.pp == ranks_ && static_cast<int>(host_of_rank.size()) == plan.layout.World());
  ISO_CHECK(costs.task.size() == static_cast<std::size_t>(ranks_) * chunks_ * plan::kPhases);
  ISO_CHECK(costs.side.size() == plan.side.size());
  step_.messages.resize(ranks_);
  beside_link_ = Seconds(costs.message_host);
  if (plan.message_scatter_gather && lanes_ > 1) {
    const Route hop = topology.RouteBetween(HostOf(0, 0), HostOf(0, 1));
    beside_link_ += (lanes_ - 1) * (hop.latency + plan.message_bytes / lanes_ / hop.bandwidth);
  }
  AddOps({plan.prologue, costs.prologue, plan::SpanKind::kPrologue}, false);
  for (int unit = 0; unit < Units(); ++unit)
    if (IsShown(unit)) step_.prologue_end.push_back(tail_[unit]);
  ThinOut();
  AddTasks();
  AddTaskCollectives();
  AddMessages();
  EndTasks();
  AddSideTasks();
  AddOps({plan.epilogue, costs.epilogue, plan::SpanKind::kEpilogue}, plan.epilogue_barrier);
  for (int unit = 0; unit < Units(); ++unit)
    if (IsShown(unit)) step_.epilogue_end.push_back(tail_[unit]);
}

int Expander::WorldRank(int unit, int lane) const {
  const int replica = unit % replicas_;
  return plan::RankAt(plan_.layout, {lane, replica % plan_.layout.cp, replica / plan_.layout.cp, unit / replicas_});
}

int Expander::UnitOf(int world_rank) const {
  const plan::Coordinates at = plan::CoordinatesOf(plan_.layout, world_rank);
  return at.pp * replicas_ + at.dp * plan_.layout.cp + at.cp;
}

int Expander::NameOf(const plan::Op& op) {
  step_.names.push_back(op.name);
  return static_cast<int>(step_.names.size()) - 1;
}

int Expander::Chain(int unit, int activity) {
  After(tail_[unit], activity);
  return tail_[unit] = activity;
}

double Expander::WorkOf(int rank, const Task& task) const {
  const int slot = rank * chunks_ + task.chunk;
  if (task.phase == Phase::kOverlapped) return costs_.overlapped[slot * chunks_ + task.chunk_b];
  return costs_.task[slot * plan::kPhases + static_cast<int>(task.phase)];
}

std::vector<Expander::Anchored> Expander::AnchorsOf(int rank) const {
  std::vector<Anchored> anchors;
  for (int i = 0; i < static_cast<int>(plan_.side.size()); ++i) {
    const plan::SideTask& side = plan_.side[i];
    if (side.rank != rank) continue;
    anchors.push_back({PlaceOf(side.after, kBegin), side.after.task >= 0 ? side.after.progress : 0, true, i});
    anchors.push_back({PlaceOf(side.before, kEnd), side.before.task >= 0 ? side.before.progress : 0, false, i});
  }
  Sort(&anchors);
  return anchors;
}

// The order in which a rank reaches them, as SideStreams does. A collective inside a task ends before the next begins.
void Expander::Sort(std::vector<Anchored>* anchors) {
  const auto turn = [](const Anchored& a) { return a.release ? 1 : a.in_task ? 0 : 2; };
  std::stable_sort(anchors->begin(), anchors->end(), [&](const Anchored& a, const Anchored& b) {
    if (a.task != b.task) return a.task < b.task;
    if (a.progress != b.progress) return a.progress < b.progress;
    return turn(a) < turn(b);
  });
}

void Expander::AddTasks() {
  const int microbatches = plan_.schedule.microbatches;
  for (std::vector<int>& positions : position_) positions.assign(std::size_t{1} * ranks_ * chunks_ * microbatches, -1);
  for (int rank = 0; rank < ranks_; ++rank) {
    const std::vector<Task>& order = plan_.schedule.order[rank];
    const auto at = [&](int chunk, int microbatch) { return (rank * chunks_ + chunk) * microbatches + microbatch; };
    for (int i = 0; i < static_cast<int>(order.size()); ++i) {
      const Task& t = order[i];
      if (t.phase == Phase::kForward || t.phase == Phase::kOverlapped) position_[0][at(t.chunk, t.microbatch)] = i;
      if (t.phase == Phase::kBackward || t.phase == Phase::kBackwardInput) position_[1][at(t.chunk, t.microbatch)] = i;
      if (t.phase == Phase::kOverlapped) position_[1][at(t.chunk_b, t.microbatch_b)] = i;
    }
    std::vector<Anchored> anchors = AnchorsOf(rank);
    AddTaskAnchors(rank, &anchors);
    Sort(&anchors);
    for (int replica = 0; replica < replicas_; ++replica) AddUnitTasks(rank * replicas_ + replica, anchors);
  }
}

void Expander::AddAnchor(int unit, const Anchored& anchor) {
  if (anchor.in_task) return AddTaskAnchor(unit, anchor);
  const plan::SideTask& side = plan_.side[anchor.side];
  SideGates& gates = gates_[anchor.side][unit % replicas_];
  if (!anchor.release) {
    gates.before = Chain(unit, Instant(unit));
  } else if (side.op.stream == plan::Stream::kCompute) {
    gates.release = Chain(unit, step_.graph.AddCompute(HostOf(unit, 0), Seconds(costs_.side[anchor.side])));
  } else {
    gates.release = Chain(unit, Instant(unit));
  }
}

void Expander::AddUnitTasks(int unit, const std::vector<Anchored>& anchors) {
  const int rank = unit / replicas_;
  auto next = anchors.begin();
  for (; next != anchors.end() && next->task == kBegin; ++next) AddAnchor(unit, *next);
  before_tasks_.push_back(tail_[unit]);
  const std::vector<Task>& order = plan_.schedule.order[rank];
  for (int i = 0; i < static_cast<int>(order.size()); ++i) {
    const double work = WorkOf(rank, order[i]);
    const int first = step_.graph.Size();
    double done = 0;
    for (; next != anchors.end() && next->task == i; ++next) {
      const double progress = std::clamp(next->progress, done, 1.0);
      if (progress > done) Chain(unit, step_.graph.AddCompute(HostOf(unit, 0), Seconds((progress - done) * work)));
      done = progress;
      AddAnchor(unit, *next);
    }
    if (done < 1 || step_.graph.Size() == first)
      Chain(unit, step_.graph.AddCompute(HostOf(unit, 0), Seconds((1 - done) * work)));
    tasks_[unit].push_back({first, tail_[unit]});
    if (IsShown(unit))
      step_.marks.push_back({first, tail_[unit], rank, plan::SpanKind::kTask, plan::Stream::kCompute, order[i]});
  }
}

void Expander::AddMessages() {
  for (int rank = 0; rank < ranks_; ++rank) {
    const std::vector<Task>& order = plan_.schedule.order[rank];
    for (int i = 0; i < static_cast<int>(order.size()); ++i) {
      const Task& t = order[i];
      if (t.phase == Phase::kForward || t.phase == Phase::kOverlapped) SendAfter(rank, i, t.chunk, t.microbatch, false);
      if (t.phase == Phase::kBackward || t.phase == Phase::kBackwardInput)
        SendAfter(rank, i, t.chunk, t.microbatch, true);
      if (t.phase == Phase::kOverlapped) SendAfter(rank, i, t.chunk_b, t.microbatch_b, true);
    }
  }
}

void Expander::SendAfter(int rank, int position, int chunk, int microbatch, bool backward) {
  const plan::Placement& placement = plan_.schedule.placement;
  const int slot = rank * chunks_ + chunk, stage = placement.stage[slot] + (backward ? -1 : 1);
  if (stage < 0 || stage >= placement.stages) return;
  const int target = placement.SlotOf(placement.direction[slot], stage), to = target / chunks_;
  if (to == rank) return;  // the order of the rank already has it
  const int consumer = position_[backward][std::size_t{1} * target * plan_.schedule.microbatches + microbatch];
  for (int replica = 0; replica < replicas_; ++replica)
    AddMessage(rank * replicas_ + replica, position, to * replicas_ + replica, consumer);
}

double Expander::Alone(int from, int to) {
  const auto [at, is_new] = alone_.try_emplace(from * Units() + to, 0.0);
  if (!is_new) return at->second;
  const Bytes bytes = plan_.message_scatter_gather ? plan_.message_bytes / lanes_ : plan_.message_bytes;
  for (int lane = 0; lane < lanes_; ++lane) {
    const Route route = topology_.RouteBetween(HostOf(from, lane), HostOf(to, lane));
    at->second = std::max(at->second, (route.latency + beside_link_ + bytes / route.bandwidth).value);
  }
  return at->second;
}

void Expander::AddMessage(int from, int position, int to, int consumer) {
  const bool blocking = plan_.messages == plan::MessageMode::kBlocking;
  const Bytes bytes = plan_.message_scatter_gather ? plan_.message_bytes / lanes_ : plan_.message_bytes;
  const int produced = tasks_[from][position].last, consumed = tasks_[to][consumer].first;
  NetworkGraph& graph = step_.graph;
  int held = -1;
  if (blocking) {
    held = graph.AddCompute(HostOf(to, 0), Seconds(Alone(from, to)), static_cast<int>(plan::Stream::kPipeline));
    After(produced, held);
    After(consumer > 0 ? tasks_[to][consumer - 1].last : before_tasks_[to], held);
    After(held, consumed);
  }
  for (int lane = 0; lane < lanes_; ++lane) {
    const int message = graph.AddMessage(HostOf(from, lane), HostOf(to, lane), bytes, beside_link_,
                                         static_cast<int>(plan::Stream::kPipeline));
    int& last = sending_[std::size_t{1} * from * lanes_ + lane];
    After(produced, message);
    After(last, message);
    if (blocking) After(last, held);
    After(message, consumed);
    if (blocking && position + 1 < static_cast<int>(tasks_[from].size()))
      After(message, tasks_[from][position + 1].first);
    last = message;
  }
  if (IsShown(from)) {
    const int shown = sending_[std::size_t{1} * from * lanes_], rank = from / replicas_;
    const Task& task = plan_.schedule.order[rank][position];
    step_.marks.push_back({shown, shown, rank, plan::SpanKind::kMessage, plan::Stream::kPipeline, task});
    if (blocking) step_.messages[rank].push_back(shown);
    step_.messages[to / replicas_].push_back(shown);
    if (blocking) step_.messages[to / replicas_].push_back(held);
  }
}

void Expander::EndTasks() {
  for (int unit = 0; unit < Units(); ++unit) {
    const int end = Chain(unit, Instant(unit));
    for (int lane = 0; plan_.messages == plan::MessageMode::kBlocking && lane < lanes_; ++lane)
      After(sending_[std::size_t{1} * unit * lanes_ + lane], end);
    if (IsShown(unit)) step_.tasks_end.push_back(end);
  }
  for (int rank = 0; rank < ranks_; ++rank)
    for (const Anchored& anchor : AnchorsOf(rank))
      for (int replica = 0; anchor.task == kEnd && replica < replicas_; ++replica)
        AddAnchor(rank * replicas_ + replica, anchor);
}

ExpandedStep Expand(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
                    const std::vector<int>& host_of_rank, const StepCollectives& inside) {
  return Expander(plan, costs, topology, host_of_rank, inside).Take();
}

}  // namespace isochrone::sim::network
