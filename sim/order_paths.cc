#include "sim/order_paths.h"

#include <algorithm>

#include "sim/order_play.h"

namespace isochrone::sim {

using plan::Phase;

namespace {

/// Makes the rank with most work a little slower: with many microbatches the path comes to stay on it, and so it does
/// with few.
void SlowBusiest(const OrderGraph& graph, std::vector<double>& seconds) {
  constexpr double kSlower = 1.04;
  const auto& works = graph.works();
  std::vector<double> busy(graph.shape().ranks, 0);
  for (std::size_t w = 0; w < works.size(); ++w) busy[works[w].rank] += works[w].tasks * seconds[w];
  const auto busiest = std::max_element(busy.begin(), busy.end()) - busy.begin();
  for (std::size_t w = 0; w < works.size(); ++w) {
    if (works[w].rank == busiest) seconds[w] *= kSlower;
  }
}

}  // namespace

/// Counts what a path holds, and what it repeats in the steady state.
class OrderPaths::Counter {
 public:
  Counter(const OrderGraph& graph, const OrderPlay& play, const std::vector<int>& of_work, std::size_t works,
          int microbatches)
      : graph_(graph),
        play_(play),
        of_work_(of_work),
        works_(works),
        microbatches_(microbatches),
        at_(graph.works().size()) {
    FindSteadyState();
  }

  /// `lane` of the last play, whose path `steps` are.
  Path Count(int lane, const std::vector<OrderPlay::Step>& steps) {
    Path path(works_ + 1);
    for (const auto& step : steps) path[OfStep(step)].count += 1;
    const Circuit circuit = SlowestCircuit(lane, steps);
    for (std::size_t i = circuit.begin; i < circuit.end; ++i) path[OfStep(steps[i])].more += 1.0 / circuit.microbatches;
    return path;
  }

 private:
  /// A part of the path that ends where it began, some microbatches later.
  struct Circuit {
    std::size_t begin = 0, end = 0;
    int microbatches = 1;
  };
  struct Visit {
    std::size_t step = 0;
    int microbatch = -1;
    double start = 0;  // seconds
  };

  /// Where a path counts it.
  std::size_t OfStep(const OrderPlay::Step& step) const {
    return step.task < 0 ? works_ : static_cast<std::size_t>(of_work_[graph_.tasks()[step.task].work]);
  }

  /// A rank repeats itself from when it has begun each kind of task until it has ended one of them; an order with
  /// overlapped pairs while it has pairs.
  void FindSteadyState() {
    const auto& works = graph_.works();
    const bool pairs = std::any_of(works.begin(), works.end(), [](const auto& w) { return w.stage_b >= 0; });
    std::vector<int> first(works.size(), -1), last(works.size(), -1);
    for (std::size_t i = 0; i < graph_.tasks().size(); ++i) {
      const OrderGraph::Task& task = graph_.tasks()[i];
      if (first[task.work] < 0) first[task.work] = static_cast<int>(i);
      last[task.work] = static_cast<int>(i);
    }
    begin_.assign(graph_.shape().ranks, 0);
    end_.assign(graph_.shape().ranks, static_cast<int>(graph_.tasks().size()));
    for (std::size_t w = 0; w < works.size(); ++w) {
      if (pairs && works[w].stage_b < 0) continue;
      begin_[works[w].rank] = std::max(begin_[works[w].rank], first[w]);
      end_[works[w].rank] = std::min(end_[works[w].rank], last[w]);
    }
  }

  /// Of the parts between one visit and the next of the same kind of task of the same rank in the steady state, the one
  /// that takes longest for a microbatch.
  Circuit SlowestCircuit(int lane, const std::vector<OrderPlay::Step>& steps) {
    std::fill(at_.begin(), at_.end(), Visit{});
    Circuit slowest;
    double most_seconds = 0;  // a microbatch
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].task < 0) continue;
      const OrderGraph::Task& task = graph_.tasks()[steps[i].task];
      const int microbatch = task.microbatch % microbatches_;  // the second direction's follow those of the first
      if (steps[i].task < begin_[task.rank] || steps[i].task > end_[task.rank]) continue;
      const double start = play_.StartOf(lane, steps[i].task);
      const Visit later = at_[task.work];  // the path runs backwards in time
      at_[task.work] = {i, microbatch, start};
      if (later.microbatch <= microbatch) continue;
      const double seconds = (later.start - start) / (later.microbatch - microbatch);
      if (seconds <= most_seconds) continue;
      most_seconds = seconds;
      slowest = {later.step, i, later.microbatch - microbatch};
    }
    return slowest;
  }

  const OrderGraph& graph_;
  const OrderPlay& play_;
  const std::vector<int>& of_work_;
  std::size_t works_;
  int microbatches_;
  std::vector<Visit> at_;         // [work of the graph], which is of one rank
  std::vector<int> begin_, end_;  // [rank] first and last task of the steady state
};

plan::ScheduleShape OrderPaths::Core(const plan::ScheduleShape& shape) {
  const bool two_directions = shape.kind == plan::ScheduleKind::kDualPipe;
  const int p = shape.ranks;
  int steady = 2 * p + 4;
  if (two_directions) steady = std::max(3 * p, 2 * p + 8);
  else if (shape.kind == plan::ScheduleKind::kZbH1) steady = p + 4;
  plan::ScheduleShape core = shape;
  core.microbatches = std::min(shape.microbatches, steady);
  if (two_directions && core.microbatches % 2 != 0) ++core.microbatches;
  return core;
}

OrderPaths::OrderPaths(const OrderGraph& graph, std::span<const int> kind, std::span<const StageTimes> probes)
    : microbatches_(graph.shape().microbatches), directions_(graph.directions()) {
  for (std::size_t s = 0; s < kind.size(); ++s) {
    if (kind[s] == static_cast<int>(first_stage_.size())) first_stage_.push_back(static_cast<int>(s));
  }
  std::vector<int> of_work;  // [work of the graph] index into works_
  for (const OrderGraph::Work& w : graph.works())
    of_work.push_back(NumberOf(w.phase, kind[w.stage], w.stage_b < 0 ? 0 : kind[w.stage_b]));
  CountRanks(graph, of_work);
  OrderPlay play(graph);
  Counter counter(graph, play, of_work, works_.size(), microbatches_ / directions_);
  std::vector<OrderPlay::Times> times;
  for (const StageTimes& probe : probes) {
    OrderPlay::Times of{{}, probe.message};
    for (const int work : of_work) of.seconds.push_back(SecondsOf(probe, static_cast<std::size_t>(work)));
    times.push_back(of);
    SlowBusiest(graph, of.seconds);
    times.push_back(std::move(of));
  }
  std::vector<OrderPlay::Step> steps;
  for (std::size_t first = 0; first < times.size(); first += OrderPlay::kLanes) {
    const std::size_t lanes = std::min<std::size_t>(OrderPlay::kLanes, times.size() - first);
    play.Play(std::span(times).subspan(first, lanes), probes.front().mode);
    for (int lane = 0; lane < static_cast<int>(lanes); ++lane) {
      play.LongestPath(lane, steps);
      Add(counter.Count(lane, steps), paths_);
    }
  }
}

void OrderPaths::Add(const Path& path, std::vector<Times>& all) {
  for (auto known = all.begin(); known != all.end(); known += static_cast<std::ptrdiff_t>(path.size())) {
    if (std::equal(path.begin(), path.end(), known)) return;
  }
  all.insert(all.end(), path.begin(), path.end());
}

int OrderPaths::NumberOf(Phase phase, int kind, int kind_b) {
  const Work work{phase, kind, kind_b};
  const auto it = std::find(works_.begin(), works_.end(), work);
  const auto number = static_cast<int>(it - works_.begin());
  if (it == works_.end()) works_.push_back(work);
  return number;
}

/// A further microbatch adds one of each kind of task to a rank, or of each overlapped pair where the order has pairs.
void OrderPaths::CountRanks(const OrderGraph& graph, const std::vector<int>& of_work) {
  const auto& works = graph.works();
  const bool pairs = std::any_of(works.begin(), works.end(), [](const auto& w) { return w.stage_b >= 0; });
  std::vector<Path> all(graph.shape().ranks, Path(works_.size() + 1));
  for (std::size_t w = 0; w < works.size(); ++w) {
    Path& rank = all[works[w].rank];
    rank[of_work[w]].count += works[w].tasks;
    if (!pairs || works[w].stage_b >= 0) rank[of_work[w]].more += 1;
  }
  for (const Path& rank : all) Add(rank, ranks_);
}

double OrderPaths::SecondsOf(const StageTimes& times, std::size_t work) const {
  const Work& w = works_[work];
  const std::size_t kind = times.KindOf(first_stage_[w.kind]);
  switch (w.phase) {
    case Phase::kForward:
      return times.forward[kind];
    case Phase::kBackwardInput:
      return times.input[kind];
    case Phase::kBackwardWeight:
      return times.weight[kind];
    case Phase::kOverlapped:
      return times.Pair(kind, times.KindOf(first_stage_[w.kind_b]));
    default:
      return times.Backward(kind);
  }
}

OrderPaths::Length OrderPaths::LongestOf(const StageTimes& times, int microbatches) const {
  constexpr std::size_t kMostWorks = 64;
  double few[kMostWorks];
  std::vector<double> many(works_.size() > kMostWorks ? works_.size() : 0);
  double* seconds = many.empty() ? few : many.data();
  for (std::size_t w = 0; w < works_.size(); ++w) seconds[w] = SecondsOf(times, w);
  const double further = static_cast<double>(microbatches - microbatches_) / directions_;
  Length longest;
  const std::size_t each = works_.size() + 1;
  for (std::size_t at = 0; at < ranks_.size(); at += each)
    longest.ideal = std::max(longest.ideal, Sum(&ranks_[at], further, seconds));
  for (std::size_t at = 0; at < paths_.size(); at += each) {
    const Times& sent = paths_[at + works_.size()];
    const double messages = (sent.count + further * sent.more) * times.message;
    const double makespan = messages + Sum(&paths_[at], further, seconds);
    if (makespan <= longest.makespan) continue;
    longest.makespan = makespan;
    longest.messages = messages;
  }
  return longest;
}

double OrderPaths::Sum(const Times* path, double further, const double* seconds) const {
  double sum = 0;
  for (std::size_t w = 0; w < works_.size(); ++w) sum += (path[w].count + further * path[w].more) * seconds[w];
  return sum;
}

}  // namespace isochrone::sim
