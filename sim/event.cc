#include "sim/event.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "sim/player.h"
#include "sim/step_ops.h"

namespace isochrone::sim {

using plan::Phase;
using plan::Task;

StepPlayer::StepPlayer(const plan::Plan& plan)
    : plan_(plan),
      ranks_(plan.schedule.placement.ranks),
      chunks_(plan.schedule.placement.chunks),
      microbatches_(plan.schedule.microbatches),
      slots_(static_cast<std::size_t>(ranks_) * chunks_),
      state_(ranks_),
      forward_(slots_.size() * microbatches_),
      gradient_(forward_.size()) {
  const plan::Placement& placement = plan.schedule.placement;
  for (int slot = 0; slot < static_cast<int>(slots_.size()); ++slot) {
    const int stage = placement.stage[slot], direction = placement.direction[slot], rank = slot / chunks_;
    SlotLinks& links = slots_[slot];
    if (stage > 0) links.previous = placement.SlotOf(direction, stage - 1);
    if (stage + 1 < placement.stages) links.next = placement.SlotOf(direction, stage + 1);
    links.previous_rank = links.previous < 0 || links.previous / chunks_ == rank ? -1 : links.previous / chunks_;
    links.next_rank = links.next < 0 || links.next / chunks_ == rank ? -1 : links.next / chunks_;
  }
  for (int rank = 0; rank < ranks_; ++rank) side_.emplace_back(plan, rank);
}

void StepPlayer::TakeCosts(const StepCosts& costs) {
  const plan::Placement& placement = plan_.schedule.placement;
  ISO_CHECK(costs.task.size() == slots_.size() * plan::kPhases);
  ISO_CHECK(costs.side.size() == plan_.side.size());
  costs_ = &costs;
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    SlotLinks& links = slots_[slot];
    const std::size_t stage = placement.direction[slot] * placement.stages + placement.stage[slot];
    const auto seconds = [](const std::vector<double>& messages, std::size_t i, bool crosses) {
      return messages.empty() || !crosses ? 0.0 : messages.at(i);
    };
    links.forward_out = seconds(costs.forward_message, stage, links.next_rank >= 0);
    links.backward_out = seconds(costs.backward_message, stage, links.previous_rank >= 0);
    links.forward_in = seconds(costs.forward_message, stage - 1, links.previous_rank >= 0);
    links.backward_in = seconds(costs.backward_message, stage + 1, links.next_rank >= 0);
  }
}

int StepPlayer::InputsOf(int rank, const Task& task, Input* inputs) const {
  int count = 0;
  const int slot = rank * chunks_ + task.chunk;
  const SlotLinks& links = slots_[slot];
  if ((task.phase == Phase::kForward || task.phase == Phase::kOverlapped) && links.previous >= 0)
    inputs[count++] = {&forward_[Cell(links.previous, task.microbatch)], links.forward_in};
  if ((task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) && links.next >= 0)
    inputs[count++] = {&gradient_[Cell(links.next, task.microbatch)], links.backward_in};
  if (task.phase == Phase::kOverlapped) {
    const SlotLinks& links_b = slots_[rank * chunks_ + task.chunk_b];
    if (links_b.next >= 0) inputs[count++] = {&gradient_[Cell(links_b.next, task.microbatch_b)], links_b.backward_in};
  }
  return count;
}

double WorkOf(const StepCosts& costs, const plan::Placement& placement, int rank, const Task& task) {
  const int slot = rank * placement.chunks + task.chunk;
  if (task.phase == Phase::kOverlapped) return costs.overlapped[slot * placement.chunks + task.chunk_b];
  return costs.task[slot * plan::kPhases + static_cast<int>(task.phase)];
}

/// Start of a task whose inputs have left; adds the wait to the rank's use.
template <bool kBlocking>
double StepPlayer::StartOf(RankState& state, const Input* inputs, int count) {
  double covered = kBlocking ? std::max(state.free, state.sending) : state.free, bubble = 0;
  const bool swap = count == 2 && *inputs[1].cell < *inputs[0].cell;
  for (int i = 0; i < count; ++i) {
    const Input& input = inputs[swap ? 1 - i : i];
    const double leaves = kBlocking ? std::max(state.free, *input.cell) : *input.cell - input.message;
    const double arrives = kBlocking ? leaves + input.message : *input.cell;
    bubble += std::max(0.0, leaves - covered);
    covered = std::max(covered, arrives);
  }
  state.use.bubble += bubble;
  state.use.message += covered - state.free - bubble;
  return covered;
}

template <bool kBlocking>
void StepPlayer::Send(int rank, const Task& task, double* cell, int to, double message, plan::Timeline* timeline) {
  RankState& state = state_[rank];
  if (to < 0) {
    *cell = state.free;
    return;
  }
  const double leaves = std::max(state.free, state.sending);
  state.sending = leaves + message;
  *cell = kBlocking ? leaves : state.sending;
  if (timeline != nullptr && message > 0) {
    timeline->spans.push_back(
        {leaves, state.sending, rank, plan::SpanKind::kMessage, plan::Stream::kPipeline, task, -1});
  }
  if (state_[to].waiting == cell) {
    state_[to].waiting = nullptr;
    ready_.push_back(to);
  }
}

template <bool kBlocking>
void StepPlayer::Advance(int rank, plan::Timeline* timeline) {
  RankState& state = state_[rank];
  const auto& order = plan_.schedule.order[rank];
  const bool has_side = !side_[rank].Empty();
  for (; state.position < order.size(); ++state.position) {
    const Task& task = order[state.position];
    Input inputs[2];
    const int count = InputsOf(rank, task, inputs);
    for (int i = 0; i < count; ++i) {
      if (*inputs[i].cell < 0) {
        state.waiting = inputs[i].cell;
        return;
      }
    }
    double start = StartOf<kBlocking>(state, inputs, count);
    double work = WorkOf(*costs_, plan_.schedule.placement, rank, task);
    if (slowdown_ != nullptr) {
      const double planned = start;
      slowdown_->Apply(rank, state.position, start, work);
      state.use.busy += start - planned;  // the GPU is paused: as good as busy
    }
    if (state.position == 0) state.begin = start;
    if (has_side) {
      state.free = side_[rank].Run(static_cast<int>(state.position), start, work, state.use);
    } else {
      state.free = start + work;
      state.use.busy += work;
    }
    if (timeline != nullptr)
      timeline->spans.push_back({start, state.free, rank, plan::SpanKind::kTask, plan::Stream::kCompute, task, -1});
    const int slot = rank * chunks_ + task.chunk;
    const SlotLinks& links = slots_[slot];
    if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped)
      Send<kBlocking>(rank, task, &forward_[Cell(slot, task.microbatch)], links.next_rank, links.forward_out, timeline);
    if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput)
      Send<kBlocking>(rank, task, &gradient_[Cell(slot, task.microbatch)], links.previous_rank, links.backward_out,
                      timeline);
    if (task.phase == Phase::kOverlapped) {
      const int slot_b = rank * chunks_ + task.chunk_b;
      Send<kBlocking>(rank, task, &gradient_[Cell(slot_b, task.microbatch_b)], slots_[slot_b].previous_rank,
                      slots_[slot_b].backward_out, timeline);
    }
  }
}

template <bool kBlocking>
void StepPlayer::PlayTasks(plan::Timeline* timeline) {
  ready_.clear();
  for (int rank = ranks_ - 1; rank >= 0; --rank) ready_.push_back(rank);
  while (!ready_.empty()) {
    const int rank = ready_.back();
    ready_.pop_back();
    Advance<kBlocking>(rank, timeline);
  }
  for (int rank = 0; rank < ranks_; ++rank) {
    RankState& state = state_[rank];
    if (state.position < plan_.schedule.order[rank].size()) {
      plan::Validate(plan_.schedule);  // throws: says who waits for whom
      ISO_CHECK_NOTE(false, "a valid schedule came to a halt");
    }
    if (kBlocking && state.sending > state.free) {
      state.use.message += state.sending - state.free;
      state.free = state.sending;
    }
  }
}

void StepPlayer::PlayFrom(const std::vector<double>& start, plan::Timeline* timeline) {
  constexpr double kNotYet = -1;
  std::fill(forward_.begin(), forward_.end(), kNotYet);
  std::fill(gradient_.begin(), gradient_.end(), kNotYet);
  end_ = start;
  std::vector<RankUse> use(ranks_);
  PlayOps({plan_.prologue, costs_->prologue, plan::SpanKind::kPrologue, false}, end_, use, timeline);
  for (int rank = 0; rank < ranks_; ++rank) {
    RankState& state = state_[rank];
    state = {};
    state.use = use[rank];
    state.free = side_[rank].Empty() ? end_[rank] : side_[rank].Start(*costs_, end_[rank], state.use);
  }
  if (plan_.messages == plan::MessageMode::kBlocking) PlayTasks<true>(timeline);
  else PlayTasks<false>(timeline);
  for (int rank = 0; rank < ranks_; ++rank) {
    RankState& state = state_[rank];
    end_[rank] = side_[rank].Empty() ? state.free : side_[rank].Finish(state.free, state.use);
    use[rank] = state.use;
    if (timeline != nullptr) side_[rank].AppendSpans(*timeline);
  }
  PlayOps({plan_.epilogue, costs_->epilogue, plan::SpanKind::kEpilogue, plan_.epilogue_barrier}, end_, use, timeline);
  for (int rank = 0; rank < ranks_; ++rank) state_[rank].use = use[rank];
}

StepResult StepPlayer::Play(const StepCosts& costs, bool with_timeline, const Slowdown* slowdown) {
  TakeCosts(costs);
  slowdown_ = slowdown;
  StepResult result;
  PlayFrom(std::vector<double>(ranks_, 0), with_timeline ? &result.timeline : nullptr);
  result.makespan = *std::max_element(end_.begin(), end_.end());
  result.rank_end = end_;
  result.peak_in_flight = plan::PeakInFlight(plan_.schedule);
  for (int rank = 0; rank < ranks_; ++rank) {
    result.ranks.push_back(state_[rank].use);
    result.rank_begin.push_back(state_[rank].begin);
    result.ranks.back().bubble += result.makespan - end_[rank];
  }
  if (with_timeline) {
    result.timeline.rank_count = ranks_;
    result.timeline.end = result.makespan;
    std::stable_sort(result.timeline.spans.begin(), result.timeline.spans.end(),
                     [](const plan::Span& a, const plan::Span& b) {
                       return std::tie(a.rank, a.stream, a.start) < std::tie(b.rank, b.stream, b.start);
                     });
  }
  return result;
}

double StepPlayer::SteadyPeriod(const StepCosts& costs) {
  constexpr int kSettle = 3, kMeasure = 3;  // steps; what one rank gains on another is used up in the first
  TakeCosts(costs);
  slowdown_ = nullptr;
  end_.assign(ranks_, 0);
  const auto play = [&](int steps) {
    for (int i = 0; i < steps; ++i) PlayFrom(std::vector<double>(end_), nullptr);
    return *std::max_element(end_.begin(), end_.end());
  };
  const double begin = play(kSettle);
  return (play(kMeasure) - begin) / kMeasure;
}

StepCosts UniformCosts(const plan::Schedule& schedule, const plan::StageCosts& stage) {
  const plan::Placement& placement = schedule.placement;
  const double input = stage.backward_input.value, weight = stage.backward_weight.value;
  double seconds[plan::kPhases] = {};
  seconds[static_cast<int>(Phase::kForward)] = stage.forward.value;
  seconds[static_cast<int>(Phase::kBackward)] = input + weight;
  seconds[static_cast<int>(Phase::kBackwardInput)] = input;
  seconds[static_cast<int>(Phase::kBackwardWeight)] = weight;
  StepCosts costs;
  for (std::size_t slot = 0; slot < placement.slot.size(); ++slot)
    costs.task.insert(costs.task.end(), std::begin(seconds), std::end(seconds));
  const double both = stage.overlapped.value > 0 ? stage.overlapped.value : stage.forward.value + input + weight;
  costs.overlapped.assign(placement.slot.size() * placement.chunks, both);
  costs.forward_message.assign(placement.slot.size(), stage.message.value);
  costs.backward_message = costs.forward_message;
  return costs;
}

StepResult Simulate(const plan::Plan& plan, const StepCosts& costs, bool with_timeline) {
  return StepPlayer(plan).Play(costs, with_timeline);
}

Seconds SteadyPeriod(const plan::Plan& plan, const StepCosts& costs) {
  return Seconds(StepPlayer(plan).SteadyPeriod(costs));
}

}  // namespace isochrone::sim
