#include "sim/analytic.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace isochrone::sim {

namespace {

using plan::MessageMode;
using plan::ScheduleKind;
using plan::ScheduleShape;

bool SameTimes(const StageTimes& times, std::size_t a, std::size_t b) {
  return times.forward[a] == times.forward[b] && times.input[a] == times.input[b] &&
         times.weight[a] == times.weight[b] && times.Backward(a) == times.Backward(b) &&
         times.Pair(a, a) == times.Pair(b, b);
}

/// What one pass over the stages finds.
struct Stages {
  double forward = 0, input = 0, weight = 0, overlapped = 0;  // means
  double busiest_work = 0;                                    // per microbatch
  int busiest = 0;
  double sum = 0;  // of all stages' work per microbatch
  double shortest_pass = 0;
  bool equal = true;
};

bool TwoDirections(ScheduleKind kind) { return kind == ScheduleKind::kDualPipe; }
bool InV(ScheduleKind kind) {
  return kind == ScheduleKind::kZbV || kind == ScheduleKind::kVHalf || kind == ScheduleKind::kVMin ||
         kind == ScheduleKind::kDualPipeV;
}

/// Rank with most work per microbatch, and that work.
std::pair<int, double> BusiestOf(const ScheduleShape& shape, const StageTimes& times, std::size_t stages) {
  const auto work = [&](std::size_t stage) {
    const std::size_t k = times.KindOf(stage);
    return times.forward[k] + times.input[k] + times.weight[k];
  };
  const int p = shape.ranks;
  std::pair<int, double> busiest;
  for (int rank = 0; rank < p; ++rank) {
    double of_rank = 0;
    if (TwoDirections(shape.kind)) of_rank = (work(rank) + work(p - 1 - rank)) / 2;
    else if (InV(shape.kind)) of_rank = work(rank) + work(2 * p - 1 - rank);
    else
      for (std::size_t s = rank; s < stages; s += p) of_rank += work(s);
    if (of_rank > busiest.second) busiest = {rank, of_rank};
  }
  return busiest;
}

Stages Read(const ScheduleShape& shape, const StageTimes& times) {
  Stages all;
  all.shortest_pass = times.forward[0];
  std::size_t stages = 0;
  for (std::size_t k = 0; k < times.forward.size(); ++k) {
    const int n = times.StagesOf(k);
    stages += n;
    all.forward += n * times.forward[k];
    all.input += n * times.input[k];
    all.weight += n * times.weight[k];
    all.overlapped += n * times.Pair(k, k);
    all.shortest_pass = std::min({all.shortest_pass, times.forward[k], times.input[k] + times.weight[k]});
    all.equal = all.equal && SameTimes(times, k, 0);
  }
  all.sum = all.forward + all.input + all.weight;
  std::tie(all.busiest, all.busiest_work) = BusiestOf(shape, times, stages);
  if (all.equal) {  // the mean without its rounding
    all.forward = times.forward[0];
    all.input = times.input[0];
    all.weight = times.weight[0];
    all.overlapped = times.Pair(0, 0);
  } else {
    for (double* mean : {&all.forward, &all.input, &all.weight, &all.overlapped}) *mean /= static_cast<double>(stages);
  }
  return all;
}

/// E of the header.
double MessagesWaitedFor(const ScheduleShape& shape, MessageMode mode) {
  const double p = shape.ranks, v = shape.chunks, m = shape.microbatches;
  if (shape.ranks == 1) return 0;
  const bool blocking = mode == MessageMode::kBlocking;
  switch (shape.kind) {
    case ScheduleKind::kGpipe:
      return blocking ? 2 * (p - 1) + 2 * (m - 1) : 2 * (p - 1);
    case ScheduleKind::k1f1b: {
      if (blocking) return shape.ranks == 2 ? m + 1 : 2 * (p - 1) + 2 * (m - 1) - (m > 1 ? 1 : 0);
      const int rounds = (shape.microbatches - 1) / shape.ranks, rest = (shape.microbatches - 1) % shape.ranks;
      return 2 * (p - 1) * (rounds + 1) + 2 * std::max(0, rest - 1);
    }
    case ScheduleKind::kInterleaved1f1b:
      return blocking ? (2 * v + 1) * p - 3 + (2 * v - 1) * std::max(0.0, m - p) : 2 * (v * p - 1);
    case ScheduleKind::kZbAuto1p:
      return blocking ? 3 * m + p - 4 : 4 * (p - 1);
    case ScheduleKind::kZbAuto2p:
      return blocking ? std::max(2 * (p - 1), 2 * m - p) : p - 1;
    default:
      break;
  }
  return 0;
}

/// Which stages take the same time.
std::vector<int> KindsOf(const StageTimes& times) {
  if (!times.kind_of.empty()) return {times.kind_of.begin(), times.kind_of.end()};
  std::vector<std::size_t> first;
  std::vector<int> kinds;
  for (std::size_t s = 0; s < times.forward.size(); ++s) {
    const auto it = std::find_if(first.begin(), first.end(), [&](std::size_t f) { return SameTimes(times, f, s); });
    kinds.push_back(static_cast<int>(it - first.begin()));
    if (it == first.end()) first.push_back(s);
  }
  return kinds;
}

/// `late` of the header, of a pipeline with this bubble.
double LateOf(const ScheduleShape& shape, const Stages& stages, double bubble) {
  if (shape.kind != ScheduleKind::kZbH2 && shape.kind != ScheduleKind::kZbAuto2p) return 0;
  const double p = shape.ranks;
  const double span = (p - 1) * std::max(0.0, stages.forward + stages.input - 2 * stages.weight);
  return std::max(0.0, std::min(bubble, (p - 1) * stages.forward) - span);
}

PipelineEstimate AlongPaths(const ScheduleShape& shape, const StageTimes& times, const OrderPaths& paths) {
  const OrderPaths::Length longest = paths.LongestOf(times, shape.microbatches);
  PipelineEstimate estimate;
  estimate.ideal = longest.ideal;
  estimate.messages = std::clamp(longest.makespan - longest.ideal, 0.0, longest.messages);
  estimate.bubble = std::max(0.0, longest.makespan - longest.ideal - estimate.messages);
  return estimate;
}

}  // namespace

bool HasPaths(ScheduleKind kind) {
  return TwoDirections(kind) || InV(kind) || kind == ScheduleKind::kZbH1 || kind == ScheduleKind::kZbH2;
}

PipelineEstimate EstimatePipeline(const ScheduleShape& shape, const StageTimes& times, const OrderPaths* paths) {
  const Stages stages = Read(shape, times);
  plan::StageCosts mean;
  mean.forward = Seconds(stages.forward);
  mean.backward_input = Seconds(stages.input);
  mean.backward_weight = Seconds(stages.weight);
  mean.overlapped = Seconds(stages.overlapped);
  const auto theory = plan::TheoryOf(shape, mean);
  const double p = shape.ranks;
  PipelineEstimate estimate;
  if (HasPaths(shape.kind) && !(stages.equal && theory.exact && times.message == 0)) {
    if (paths) {
      estimate = AlongPaths(shape, times, *paths);
    } else {
      const OrderGraph core(plan::BuildSchedule(OrderPaths::Core(shape)));
      estimate = AlongPaths(shape, times, OrderPaths(core, KindsOf(times), std::span(&times, 1)));
    }
    estimate.busiest = stages.busiest;
    estimate.late = LateOf(shape, stages, estimate.bubble);
    estimate.makespan = estimate.Sum();
    return estimate;
  }
  estimate.busiest = stages.busiest;
  estimate.ideal = stages.equal ? theory.ideal.value : shape.microbatches * stages.busiest_work;
  switch (shape.kind) {
    case ScheduleKind::kGpipe:
    case ScheduleKind::k1f1b:
      estimate.bubble = stages.equal ? (theory.makespan - theory.ideal).value : stages.sum - stages.busiest_work;
      break;
    case ScheduleKind::kZbAuto1p:
      estimate.bubble = (p - 1) * std::max(stages.input, stages.forward + stages.input - stages.weight);
      break;
    case ScheduleKind::kZbAuto2p:
      estimate.bubble = (p - 1) * stages.forward;
      break;
    default:
      estimate.bubble = (theory.makespan - theory.ideal).value;
      break;
  }
  estimate.late = LateOf(shape, stages, estimate.bubble);
  estimate.messages = times.message * MessagesWaitedFor(shape, times.mode);
  estimate.makespan = estimate.Sum();
  const bool overlapped = times.mode == MessageMode::kOverlapped;
  const bool counted = shape.kind == ScheduleKind::kGpipe || shape.kind == ScheduleKind::k1f1b ||
                       (shape.kind == ScheduleKind::kInterleaved1f1b && overlapped);
  const bool short_message = times.message == 0 || (counted && 4 * times.message <= stages.shortest_pass);
  estimate.exact = stages.equal && theory.exact && short_message;
  return estimate;
}

}  // namespace isochrone::sim
