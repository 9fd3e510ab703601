#include "sim/critical_path.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "sim/player.h"

namespace isochrone::sim {

namespace {

using plan::Phase;
using plan::Span;
using plan::SpanKind;

WorkKind KindOf(const Span& span) {
  switch (span.kind) {
    case SpanKind::kMessage:
      return WorkKind::kMessage;
    case SpanKind::kSide:
      return WorkKind::kSide;
    case SpanKind::kPrologue:
      return WorkKind::kPrologue;
    case SpanKind::kEpilogue:
      return WorkKind::kEpilogue;
    case SpanKind::kTask:
    case SpanKind::kOp:
      break;
  }
  switch (span.task.phase) {
    case Phase::kBackward:
    case Phase::kBackwardInput:
    case Phase::kRecompute:
      return WorkKind::kBackward;
    case Phase::kBackwardWeight:
      return WorkKind::kWeight;
    case Phase::kOverlapped:
      return WorkKind::kOverlapped;
    case Phase::kForward:
      break;
  }
  return WorkKind::kForward;
}

/// Walks back from the end of a played step: whatever starts at some time waited for something that ended then.
class PathFinder {
 public:
  PathFinder(const plan::Plan& plan, const StepCosts& costs)
      : plan_(plan), costs_(costs), result_(Simulate(plan, costs, true)), slack_(1e-9 * (1 + result_.makespan)) {
    for (const Span& span : result_.timeline.spans) by_end_.emplace(span.end, &span);
  }

  std::vector<CriticalStep> Run() {
    const Span* at = EndingAt(result_.makespan, [](const Span&) { return true; });
    double until = result_.makespan;
    for (;;) {
      ISO_CHECK_NOTE(at != nullptr, "something started when nothing had ended");
      Add(*at, at->start, until);
      until = at->start;
      if (until <= slack_) break;
      const Cause cause = Before(*at, until);
      if (cause.message > 0) {
        path_.push_back({WorkKind::kMessage, at->rank, at->task, "", until - cause.message, until});
        until -= cause.message;
        if (until <= slack_) break;
      }
      at = cause.span;
    }
    std::reverse(path_.begin(), path_.end());
    return std::move(path_);
  }

 private:
  /// A pass that another needs, and how long its output travels.
  struct Need {
    int rank, chunk, microbatch;
    bool forward;
    double message;
  };
  /// What ended, and a message that held the rank after it.
  struct Cause {
    const Span* span = nullptr;
    double message = 0;
  };

  /// Takes [start, end) of `span` into the path.
  void Add(const Span& span, double start, double end) {
    CriticalStep step{KindOf(span), span.rank, span.task, "", start, end};
    if (span.name >= 0) step.name = result_.timeline.names[span.name];
    path_.push_back(std::move(step));
  }

  template <class Which>
  const Span* EndingAt(double time, Which which) const {
    for (auto it = by_end_.lower_bound(time - slack_); it != by_end_.end() && it->first <= time + slack_; ++it)
      if (it->second->end > it->second->start && which(*it->second)) return it->second;
    return nullptr;
  }

  /// What ended at `time` and so let `span` start.
  Cause Before(const Span& span, double time) const {
    const auto own = [&](const Span& other) {
      return other.rank == span.rank && &other != &span && InOrder(other, span);
    };
    if (const Span* found = EndingAt(time, own)) return {found};
    if (span.kind == SpanKind::kSide) return {Containing(span, time)};
    if (span.kind == SpanKind::kMessage) return {SenderOf(span, time)};
    if (span.kind == SpanKind::kTask) {
      const Cause arrival = Arrival(span, time);
      if (arrival.span != nullptr) return arrival;
    }
    const auto local = [&](const Span& other) { return other.rank == span.rank && &other != &span; };
    if (const Span* found = EndingAt(time, local)) return {found};
    return {EndingAt(time, [&](const Span& other) { return other.rank != span.rank; })};  // a barrier
  }

  /// Passes follow passes of their rank, side tasks those of their stream, epilogues anything.
  static bool InOrder(const Span& before, const Span& after) {
    if (after.kind == SpanKind::kSide) return before.stream == after.stream;
    if (after.kind == SpanKind::kMessage) return false;
    return before.stream == plan::Stream::kCompute || after.kind == SpanKind::kEpilogue;
  }

  /// The pass within or after which a side task was released.
  const Span* Containing(const Span& side, double time) const {
    for (const Span& other : result_.timeline.spans)
      if (other.rank == side.rank && other.kind == SpanKind::kTask && other.start < time && other.end >= time - slack_)
        return &other;
    return EndingAt(time, [&](const Span& other) { return other.rank == side.rank; });
  }

  /// The pass whose output a message carries, or the message ahead of it on its stream.
  const Span* SenderOf(const Span& message, double time) const {
    const auto pass = [&](const Span& other) {
      return other.rank == message.rank && other.kind == SpanKind::kTask && other.task == message.task;
    };
    if (const Span* found = EndingAt(time, pass)) return found;
    return EndingAt(time, [&](const Span& other) {
      return other.rank == message.rank && other.kind == SpanKind::kMessage && &other != &message;
    });
  }

  /// The passes whose output a pass takes.
  std::vector<Need> NeedsOf(const Span& pass) const {
    const plan::Placement& at = plan_.schedule.placement;
    std::vector<Need> needs;
    const auto add = [&](int chunk, int microbatch, bool forward) {
      const int direction = at.DirectionOf(pass.rank, chunk), stage = at.StageOf(pass.rank, chunk) + (forward ? -1 : 1);
      if (stage < 0 || stage >= at.stages) return;
      const auto& messages = forward ? costs_.forward_message : costs_.backward_message;
      const int rank = at.RankOf(direction, stage);
      const bool free = messages.empty() || rank == pass.rank;
      needs.push_back({rank, at.ChunkOf(direction, stage), microbatch, forward,
                       free ? 0 : messages[direction * at.stages + stage]});
    };
    const plan::Task& task = pass.task;
    if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped) add(task.chunk, task.microbatch, true);
    if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) add(task.chunk, task.microbatch, false);
    if (task.phase == Phase::kOverlapped) add(task.chunk_b, task.microbatch_b, false);
    return needs;
  }

  static bool Produces(const Span& span, const Need& need) {
    const plan::Task& task = span.task;
    if (span.rank != need.rank) return false;
    const bool first = task.chunk == need.chunk && task.microbatch == need.microbatch;
    if (need.forward) return first && (task.phase == Phase::kForward || task.phase == Phase::kOverlapped);
    if (task.phase == Phase::kOverlapped) return task.chunk_b == need.chunk && task.microbatch_b == need.microbatch;
    return first && (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput);
  }

  /// The message that a pass waited for, or its producer where messages are free. A blocking message holds the receiver
  /// from when it has left and the receiver is free: the later of the two is the cause.
  Cause Arrival(const Span& pass, double time) const {
    for (const Need& need : NeedsOf(pass)) {
      const SpanKind kind = need.message > 0 ? SpanKind::kMessage : SpanKind::kTask;
      const auto brings = [&](const Span& other) { return other.kind == kind && Produces(other, need); };
      if (const Span* found = EndingAt(time, brings)) return {found};
      if (plan_.messages != plan::MessageMode::kBlocking || need.message == 0) continue;
      const auto own = [&](const Span& other) { return other.rank == pass.rank && other.kind == SpanKind::kTask; };
      if (const Span* found = EndingAt(time - need.message, own)) return {found, need.message};
    }
    return {};
  }

  const plan::Plan& plan_;
  const StepCosts& costs_;
  StepResult result_;
  double slack_;
  std::multimap<double, const Span*> by_end_;
  std::vector<CriticalStep> path_;
};

}  // namespace

const char* NameOf(WorkKind kind) {
  static constexpr const char* kNames[kWorkKinds] = {"forward", "backward", "weight",   "overlapped",
                                                     "message", "side",     "prologue", "epilogue"};
  return kNames[static_cast<int>(kind)];
}

std::vector<CriticalStep> CriticalPath(const plan::Plan& plan, const StepCosts& costs) {
  return PathFinder(plan, costs).Run();
}

std::vector<double> SecondsByKind(const std::vector<CriticalStep>& path) {
  std::vector<double> seconds(kWorkKinds, 0);
  for (const CriticalStep& step : path) seconds[static_cast<int>(step.kind)] += step.end - step.start;
  return seconds;
}

namespace {

StepCosts WithFree(StepCosts costs, WorkKind kind) {
  const auto clear = [](std::vector<double>& seconds) { std::fill(seconds.begin(), seconds.end(), 0.0); };
  const auto clear_phases = [&](std::initializer_list<Phase> phases) {
    for (std::size_t i = 0; i < costs.task.size(); ++i)
      for (const Phase phase : phases)
        if (static_cast<int>(i % plan::kPhases) == static_cast<int>(phase)) costs.task[i] = 0;
  };
  switch (kind) {
    case WorkKind::kForward:
      clear_phases({Phase::kForward});
      break;
    case WorkKind::kBackward:
      clear_phases({Phase::kBackward, Phase::kBackwardInput, Phase::kRecompute});
      break;
    case WorkKind::kWeight:
      clear_phases({Phase::kBackwardWeight});
      break;
    case WorkKind::kOverlapped:
      clear(costs.overlapped);
      break;
    case WorkKind::kMessage:
      clear(costs.forward_message);
      clear(costs.backward_message);
      break;
    case WorkKind::kSide:
      clear(costs.side);
      break;
    case WorkKind::kPrologue:
      for (auto& ops : costs.prologue) clear(ops);
      break;
    case WorkKind::kEpilogue:
      for (auto& ops : costs.epilogue) clear(ops);
      break;
  }
  return costs;
}

}  // namespace

std::vector<Gain> GainsIfFree(const plan::Plan& plan, const StepCosts& costs) {
  StepPlayer player(plan);
  const double makespan = player.Play(costs, false).makespan;
  std::vector<Gain> gains;
  for (int kind = 0; kind < kWorkKinds; ++kind) {
    const auto free = static_cast<WorkKind>(kind);
    gains.push_back({free, makespan - player.Play(WithFree(costs, free), false).makespan});
  }
  return gains;
}

}  // namespace isochrone::sim
