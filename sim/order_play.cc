#include "sim/order_play.h"

#include <algorithm>

namespace isochrone::sim {

OrderPlay::OrderPlay(const OrderGraph& graph)
    : graph_(graph),
      seconds_(graph.works_.size()),
      start_(graph.tasks_.size()),
      end_(graph.tasks_.size()),
      arrival_(graph.messages_.size()) {}

template <bool kBlocking>
void OrderPlay::Play() {
  const auto later = [](Lanes& at, const Lanes& than) {
    for (int lane = 0; lane < kLanes; ++lane) at[lane] = std::max(at[lane], than[lane]);
  };
  const auto add = [](Lanes& at, const Lanes& more) {
    for (int lane = 0; lane < kLanes; ++lane) at[lane] += more[lane];
  };
  const Lanes message = message_;
  for (std::size_t i = 0; i < graph_.tasks_.size(); ++i) {
    const OrderGraph::Task& task = graph_.tasks_[i];
    Lanes at{};
    if (task.before >= 0) at = end_[task.before];
    if (kBlocking && task.inputs[0] >= 0) add(at, message);
    if (kBlocking && task.sent >= 0) later(at, arrival_[task.sent]);
    if (task.inputs[0] >= 0) later(at, arrival_[task.inputs[0]]);
    if (task.inputs[1] >= 0) later(at, arrival_[task.inputs[1]]);
    start_[i] = at;
    add(at, seconds_[task.work]);
    end_[i] = at;
    for (int j = graph_.sends_[i]; j < graph_.sends_[i + 1]; ++j) {
      if (graph_.messages_[j].before >= 0) later(at, arrival_[graph_.messages_[j].before]);
      add(at, message);
      arrival_[j] = at;
      at = end_[i];
    }
  }
}

void OrderPlay::Play(std::span<const Times> times, plan::MessageMode mode) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const Times& of = times[std::min<std::size_t>(lane, times.size() - 1)];
    message_[lane] = of.message;
    for (std::size_t w = 0; w < graph_.works_.size(); ++w) seconds_[w][lane] = of.seconds[w];
  }
  blocking_ = mode == plan::MessageMode::kBlocking;
  if (blocking_) Play<true>();
  else Play<false>();
}

void OrderPlay::LongestPath(int lane, std::vector<Step>& path) const {
  path.clear();
  const auto end = [&](int task) { return end_[task][lane]; };
  const auto arrival = [&](int message) { return arrival_[message][lane]; };
  // Along messages to the task that sent the first of those that queued.
  const auto sender = [&](int at) {
    for (;; at = graph_.messages_[at].before) {
      path.push_back({-1});
      const int before = graph_.messages_[at].before;
      if (before < 0 || arrival(before) <= end(graph_.messages_[at].task)) return graph_.messages_[at].task;
    }
  };
  double makespan = 0;
  int task = -1, at_end = -1;
  for (std::size_t rank = 0; rank < graph_.last_task_.size(); ++rank) {
    const int last = graph_.last_message_[rank];
    const double ended = end(graph_.last_task_[rank]), sent = blocking_ && last >= 0 ? arrival(last) : 0;
    if (std::max(ended, sent) <= makespan && task >= 0) continue;
    makespan = std::max(ended, sent);
    task = graph_.last_task_[rank];
    at_end = sent > ended ? last : -1;
  }
  if (at_end >= 0) task = sender(at_end);
  while (task >= 0) {
    path.push_back({task});
    const OrderGraph::Task& of = graph_.tasks_[task];
    const double start = start_[task][lane], free = of.before >= 0 ? end(of.before) : 0;
    const bool pays = blocking_ && of.inputs[0] >= 0;
    if (start == (pays ? free + message_[lane] : free)) {
      if (pays) path.push_back({-1});
      task = of.before;
    } else if (blocking_ && of.sent >= 0 && arrival(of.sent) == start) {
      task = sender(of.sent);
    } else {
      task = sender(of.inputs[1] >= 0 && arrival(of.inputs[1]) == start ? of.inputs[1] : of.inputs[0]);
    }
  }
}

}  // namespace isochrone::sim
