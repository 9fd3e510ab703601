#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "plan/plan.h"
#include "sim/event.h"

namespace isochrone::sim {

/// Looks at a timeline only, and says what in it cannot be; empty if nothing. Written apart from the engine: it knows
/// the rules of plan/schedule.h, not how they are played.
class Checker {
 public:
  Checker(const plan::Plan& plan, const StepCosts& costs, const StepResult& result)
      : plan_(plan), costs_(costs), result_(result) {}

  std::string Fault() {
    Collect();
    if (fault_.empty()) NothingTwiceAtOnce();
    if (fault_.empty()) OrderKept();
    if (fault_.empty()) InputsFirst();
    if (fault_.empty()) WorkConserved();
    if (fault_.empty()) ActivationsBalance();
    return fault_;
  }

 private:
  using Key = std::tuple<int, int, int>;  // direction, stage, microbatch
  static constexpr double kSlack = 1e-9;

  void Say(const std::string& fault) {
    if (fault_.empty()) fault_ = fault;
  }
  Key KeyOf(int rank, int chunk, int microbatch) const {
    const auto& at = plan_.schedule.placement;
    return {at.DirectionOf(rank, chunk), at.StageOf(rank, chunk), microbatch};
  }
  void Put(std::map<Key, const plan::Span*>& into, const Key& key, const plan::Span& span) {
    if (!into.emplace(key, &span).second) Say(plan::Print(span.task) + " runs twice");
  }

  void Collect() {
    for (const auto& span : result_.timeline.spans) {
      if (span.end < span.start) Say("a span ends before it starts");
      if (span.kind != plan::SpanKind::kTask) continue;
      const auto& task = span.task;
      const Key key = KeyOf(span.rank, task.chunk, task.microbatch);
      switch (task.phase) {
        case plan::Phase::kForward:
          Put(forward_, key, span);
          break;
        case plan::Phase::kBackward:
          Put(gradient_, key, span);
          Put(weight_, key, span);
          break;
        case plan::Phase::kBackwardInput:
          Put(gradient_, key, span);
          break;
        case plan::Phase::kBackwardWeight:
          Put(weight_, key, span);
          break;
        case plan::Phase::kOverlapped: {
          Put(forward_, key, span);
          const Key key_b = KeyOf(span.rank, task.chunk_b, task.microbatch_b);
          Put(gradient_, key_b, span);
          Put(weight_, key_b, span);
          break;
        }
        case plan::Phase::kRecompute:
          break;
      }
    }
    const std::size_t passes = static_cast<std::size_t>(plan_.schedule.placement.stages) * plan_.schedule.microbatches;
    if (forward_.size() != passes || gradient_.size() != passes || weight_.size() != passes)
      Say("not every microbatch passes every stage forward and backward");
  }

  void NothingTwiceAtOnce() {
    const plan::Span* last = nullptr;
    for (const auto& span : result_.timeline.spans) {
      if (last != nullptr && last->rank == span.rank && last->stream == span.stream && span.start < last->end - kSlack)
        Say("rank " + std::to_string(span.rank) + " does two things at once on " + plan::NameOf(span.stream));
      last = &span;
    }
  }

  void OrderKept() {
    std::vector<std::vector<plan::Task>> order(plan_.schedule.placement.ranks);
    for (const auto& span : result_.timeline.spans)
      if (span.kind == plan::SpanKind::kTask) order[span.rank].push_back(span.task);
    if (order != plan_.schedule.order) Say("a rank does not keep its order");
  }

  double Message(const std::vector<double>& seconds, const Key& from, int to_stage) const {
    const auto& at = plan_.schedule.placement;
    const auto [direction, stage, microbatch] = from;
    if (seconds.empty() || at.RankOf(direction, stage) == at.RankOf(direction, to_stage)) return 0;
    return seconds[direction * at.stages + stage];
  }

  void InputsFirst() {
    for (const auto& [key, span] : forward_) {
      const auto [direction, stage, microbatch] = key;
      if (stage == 0) continue;
      const Key from{direction, stage - 1, microbatch};
      if (span->start < forward_.at(from)->end + Message(costs_.forward_message, from, stage) - kSlack)
        Say(plan::Print(span->task) + " starts before its activations arrive");
    }
    for (const auto& [key, span] : gradient_) {
      const auto [direction, stage, microbatch] = key;
      if (span->start < forward_.at(key)->end - kSlack)
        Say(plan::Print(span->task) + " starts before its forward pass");
      if (weight_.at(key) != span && weight_.at(key)->start < span->end - kSlack)
        Say("a weight pass starts before its gradient");
      if (stage + 1 == plan_.schedule.placement.stages) continue;
      const Key from{direction, stage + 1, microbatch};
      if (span->start < gradient_.at(from)->end + Message(costs_.backward_message, from, stage) - kSlack)
        Say(plan::Print(span->task) + " starts before its gradient arrives");
    }
  }

  double WorkOf(const plan::Span& span) const {
    const auto& at = plan_.schedule.placement;
    const int slot = span.rank * at.chunks + span.task.chunk;
    if (span.task.phase == plan::Phase::kOverlapped) return costs_.overlapped[slot * at.chunks + span.task.chunk_b];
    return costs_.task[slot * plan::kPhases + static_cast<int>(span.task.phase)];
  }

  void WorkConserved() {
    std::vector<double> work(plan_.schedule.placement.ranks, 0);
    for (const auto& span : result_.timeline.spans)
      if (span.kind == plan::SpanKind::kTask) work[span.rank] += WorkOf(span);
    for (std::size_t rank = 0; rank < work.size(); ++rank) {
      if (std::abs(result_.ranks[rank].Sum() - result_.makespan) > kSlack * (1 + result_.makespan))
        Say("rank " + std::to_string(rank) + "'s times do not add up to the makespan");
      if (plan_.side.empty() && std::abs(work[rank] - result_.ranks[rank].busy) > kSlack * (1 + work[rank]))
        Say("rank " + std::to_string(rank) + " is busy for another time than its work takes");
    }
  }

  /// Counts live activations by time, not by order.
  void ActivationsBalance() {
    const int slots = static_cast<int>(plan_.schedule.placement.slot.size());
    std::vector<std::vector<std::tuple<double, int, int>>> changes(slots);  // time, tie (ends last), change
    const auto slot = [&](const Key& key) {
      return plan_.schedule.placement.SlotOf(std::get<0>(key), std::get<1>(key));
    };
    for (const auto& [key, span] : forward_) changes[slot(key)].emplace_back(span->start, 1, +1);
    for (const auto& [key, span] : weight_) changes[slot(key)].emplace_back(span->end, 0, -1);
    for (int i = 0; i < slots; ++i) {
      std::sort(changes[i].begin(), changes[i].end());
      int alive = 0, peak = 0;
      for (const auto& change : changes[i]) {
        alive += std::get<2>(change);
        peak = std::max(peak, alive);
        if (alive < 0) Say("an activation is freed before it is made");
      }
      if (alive != 0) Say("an activation outlives the step");
      if (peak != result_.peak_in_flight[i]) Say("slot " + std::to_string(i) + " holds another peak than reported");
    }
  }

  const plan::Plan& plan_;
  const StepCosts& costs_;
  const StepResult& result_;
  std::string fault_;
  std::map<Key, const plan::Span*> forward_, gradient_, weight_;
};

}  // namespace isochrone::sim
