#include "sim/side.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace isochrone::sim {

using plan::Anchor;

SideStreams::SideStreams(const plan::Plan& plan, int rank) : plan_(plan), rank_(rank) {
  for (int i = 0; i < static_cast<int>(plan.side.size()); ++i) {
    const plan::SideTask& side = plan.side[i];
    if (side.rank != rank) continue;
    const int at = static_cast<int>(tasks_.size());
    tasks_.push_back({i, side.op.stream});
    if (side.op.stream != plan::Stream::kCompute) queue_[static_cast<int>(side.op.stream)].push_back(at);
    const auto place = [](const Anchor& anchor, int none) {
      if (anchor.task == Anchor::kStepStart) return kBegin;
      if (anchor.task == Anchor::kStepEnd) return kEnd;
      return anchor.task == Anchor::kNone ? none : anchor.task;
    };
    anchors_.push_back({place(side.after, kBegin), side.after.task >= 0 ? side.after.progress : 0, true, at});
    anchors_.push_back({place(side.before, kEnd), side.before.task >= 0 ? side.before.progress : 0, false, at});
  }
  std::stable_sort(anchors_.begin(), anchors_.end(), [](const Anchored& a, const Anchored& b) {
    if (a.task != b.task) return a.task < b.task;
    if (a.progress != b.progress) return a.progress < b.progress;
    return a.release && !b.release;
  });
}

double SideStreams::Start(const StepCosts& costs, double now, RankUse& use) {
  compute_slowdown_ = costs.compute_slowdown;
  side_slowdown_ = costs.side_slowdown;
  now_ = now;
  next_ = 0;
  head_.fill(0);
  for (Queued& task : tasks_) {
    task.left = costs.side[task.index];
    task.start = task.end = -1;
    task.released = false;
  }
  while (next_ < anchors_.size() && anchors_[next_].task == kBegin) Reach(anchors_[next_++], use);
  return now_;
}

bool SideStreams::FindActive() {
  bool any = false;
  for (int stream = 0; stream < plan::kStreams; ++stream) {
    const auto& queue = queue_[stream];
    auto& head = head_[stream];
    while (head < queue.size() && tasks_[queue[head]].end >= 0) ++head;
    const bool active = head < queue.size() && tasks_[queue[head]].released;
    active_[stream] = active ? &tasks_[queue[head]] : nullptr;
    if (active && active_[stream]->start < 0) active_[stream]->start = now_;
    any = any || active;
  }
  return any;
}

double SideStreams::NextEnd(double rate) const {
  double end = std::numeric_limits<double>::infinity();
  for (const Queued* task : active_)
    if (task != nullptr) end = std::min(end, now_ + task->left / rate);
  return end;
}

void SideStreams::Move(double until, double rate) {
  while (FindActive()) {
    const double to = std::min(until, NextEnd(rate));
    for (Queued* task : active_) {
      if (task == nullptr) continue;
      if (now_ + task->left / rate <= to) task->end = to;
      else task->left -= (to - now_) * rate;
    }
    now_ = to;
    if (to == until) return;
  }
  now_ = until;
}

void SideStreams::Compute(double work) {
  const double rate = 1 / side_slowdown_;
  while (FindActive()) {
    const double side_end = NextEnd(rate), own_end = now_ + work * compute_slowdown_;
    if (own_end <= side_end) {
      Move(own_end, rate);
      return;
    }
    work -= (side_end - now_) / compute_slowdown_;
    Move(side_end, rate);
  }
  now_ += work;
}

double SideStreams::WaitFor(int side) {
  while (tasks_[side].end < 0) {
    if (!FindActive()) {
      const auto& op = plan_.side[tasks_[side].index].op;
      throw Error("rank " + std::to_string(rank_) + ", side task " + op.name,
                  "is waited for at a place that is reached before it, or one ahead of it on its stream, may start",
                  "move its \"after\" ahead, or its \"before\" back");
    }
    Move(NextEnd(1), 1);
  }
  return tasks_[side].end;
}

void SideStreams::Reach(const Anchored& anchor, RankUse& use) {
  Queued& task = tasks_[anchor.side];
  const double before = now_;
  if (!anchor.release) {
    WaitFor(anchor.side);
  } else if (task.stream == plan::Stream::kCompute) {
    Compute(task.left);
    task.start = before;
    task.end = now_;
  } else {
    task.released = true;
  }
  use.side += now_ - before;
}

double SideStreams::Run(int index, double start, double work, RankUse& use) {
  Move(std::max(start, now_), 1);
  double done = 0;
  for (; next_ < anchors_.size() && anchors_[next_].task == index; ++next_) {
    const double progress = std::clamp(anchors_[next_].progress, done, 1.0), from = now_;
    Compute((progress - done) * work);
    use.busy += now_ - from;
    done = progress;
    Reach(anchors_[next_], use);
  }
  const double from = now_;
  Compute((1 - done) * work);
  use.busy += now_ - from;
  return now_;
}

double SideStreams::Finish(double now, RankUse& use) {
  Move(std::max(now, now_), 1);
  while (next_ < anchors_.size()) Reach(anchors_[next_++], use);
  return now_;
}

void SideStreams::AppendSpans(plan::Timeline& timeline) const {
  for (const Queued& task : tasks_) {
    plan::Span span;
    span.start = task.start;
    span.end = task.end;
    span.rank = rank_;
    span.kind = plan::SpanKind::kSide;
    span.stream = task.stream;
    span.name = static_cast<int>(timeline.names.size());
    timeline.names.push_back(plan_.side[task.index].op.name);
    timeline.spans.push_back(span);
  }
}

}  // namespace isochrone::sim
