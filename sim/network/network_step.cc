#include "sim/network/network_step.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "sim/network/engines.h"

namespace isochrone::sim::network {

namespace {

struct Interval {
  double begin, end;
};

/// Intervals without overlap, ascending, of when a rank had a message under way that it may wait for.
std::vector<Interval> UnderWay(const std::vector<int>& messages, const Played& played) {
  std::vector<Interval> all, joined;
  for (const int m : messages) all.push_back({played.start[m].value, played.end[m].value});
  std::sort(all.begin(), all.end(), [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  for (const Interval& i : all) {
    if (joined.empty() || i.begin > joined.back().end) joined.push_back(i);
    else joined.back().end = std::max(joined.back().end, i.end);
  }
  return joined;
}

double BeginOf(const Mark& mark, const Played& played) {
  if (mark.first >= 0) return played.start[mark.first].value;
  return mark.begin_after >= 0 ? played.end[mark.begin_after].value : 0;
}

/// Splits a rank's time: tasks are busy, gaps between them message where one is under way, else bubble.
class Accountant {
 public:
  Accountant(const ExpandedStep& step, const Played& played) : step_(step), played_(played) {}

  RankUse Of(int rank) {
    RankUse use;
    under_way_ = UnderWay(step_.messages[rank], played_);
    at_ = 0;
    double now = use.prologue = EndOf(step_.prologue_end[rank]);
    for (const Mark& mark : step_.marks) {
      if (mark.rank != rank || mark.kind != plan::SpanKind::kTask) continue;
      const double start = played_.start[mark.first].value, end = EndOf(mark.last);
      Gap(now, start, &use);
      use.busy += end - start;
      now = end;
    }
    for (const ExpandedStep::Wait& wait : step_.waits)
      if (wait.rank == rank) use.late[static_cast<std::size_t>(wait.stream)] += EndOf(wait.until) - EndOf(wait.worked);
    Gap(now, EndOf(step_.tasks_end[rank]), &use);
    use.side += EndOf(step_.side_end[rank]) - EndOf(step_.tasks_end[rank]);
    for (const Mark& mark : step_.marks)
      if (mark.rank == rank && mark.kind == plan::SpanKind::kEpilogue)
        use.epilogue += EndOf(mark.last) - BeginOf(mark, played_);
    use.barrier = EndOf(step_.epilogue_end[rank]) - EndOf(step_.side_end[rank]) - use.epilogue;
    use.bubble += played_.makespan.value - EndOf(step_.epilogue_end[rank]);
    return use;
  }

 private:
  double EndOf(int activity) const { return activity < 0 ? 0 : played_.end[activity].value; }

  void Gap(double from, double to, RankUse* use) {
    double covered = 0;
    while (at_ < under_way_.size() && under_way_[at_].end <= from) ++at_;
    for (std::size_t i = at_; i < under_way_.size() && under_way_[i].begin < to; ++i)
      covered += std::min(to, under_way_[i].end) - std::max(from, under_way_[i].begin);
    use->message += covered;
    use->bubble += to - from - covered;
  }

  const ExpandedStep& step_;
  const Played& played_;
  std::vector<Interval> under_way_;
  std::size_t at_ = 0;
};

plan::Timeline TimelineOf(const ExpandedStep& step, const Played& played, int ranks) {
  plan::Timeline timeline;
  timeline.rank_count = ranks;
  timeline.end = played.makespan.value;
  timeline.names = step.names;
  for (const Mark& mark : step.marks) {
    timeline.spans.push_back(
        {BeginOf(mark, played), played.end[mark.last].value, mark.rank, mark.kind, mark.stream, mark.task, mark.name});
  }
  std::stable_sort(timeline.spans.begin(), timeline.spans.end(), [](const plan::Span& a, const plan::Span& b) {
    return std::tie(a.rank, a.stream, a.start) < std::tie(b.rank, b.stream, b.start);
  });
  return timeline;
}

Played Play(const NetworkGraph& graph, const Topology& topology, EngineChoice engine) {
  switch (engine) {
    case EngineChoice::kMaxMin:
      return PlayWithMaxMin(graph, topology);
    case EngineChoice::kSimGrid:
      return PlayWithSimGrid(graph, topology);
    case EngineChoice::kUncontended:
      return PlayUncontended(graph, topology);
  }
  ISO_CHECK(false);
  return {};
}

}  // namespace

NetworkStep SimulateOnNetwork(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
                              std::vector<int> host_of_rank, const NetworkOptions& options,
                              const StepCollectives& inside) {
  if (host_of_rank.empty()) {
    host_of_rank.resize(plan.layout.World());
    std::iota(host_of_rank.begin(), host_of_rank.end(), 0);
  }
  ISO_CHECK(*std::max_element(host_of_rank.begin(), host_of_rank.end()) < topology.Hosts());
  const ExpandedStep step = Expand(plan, costs, topology, host_of_rank, inside);
  const Played played = Play(step.graph, topology, options.engine);
  const int ranks = plan.schedule.placement.ranks;
  NetworkStep result;
  result.uncontended = PlayUncontended(step.graph, topology).makespan;
  result.links = LoadsOf(step.graph, topology, played, options.links_in_report);
  result.tiers = TiersOf(step.graph, topology, played.makespan);
  result.activities = step.graph.Size();
  for (const Activity& a : step.graph.Activities()) result.messages += a.IsMessage();
  result.step.makespan = played.makespan.value;
  result.step.peak_in_flight = plan::PeakInFlight(plan.schedule);
  result.prologue.resize(ranks);
  result.epilogue.resize(ranks);
  for (const Mark& mark : step.marks) {
    const double lasts = played.end[mark.last].value - BeginOf(mark, played);
    if (mark.kind == plan::SpanKind::kSide) result.side.push_back(lasts);
    if (mark.kind == plan::SpanKind::kPrologue) result.prologue[mark.rank].push_back(lasts);
    if (mark.kind == plan::SpanKind::kEpilogue) result.epilogue[mark.rank].push_back(lasts);
  }
  Accountant accountant(step, played);
  for (int rank = 0; rank < ranks; ++rank) {
    result.step.ranks.push_back(accountant.Of(rank));
    const int end = step.epilogue_end[rank];
    result.step.rank_end.push_back(end < 0 ? 0 : played.end[end].value);
  }
  if (options.with_timeline) result.step.timeline = TimelineOf(step, played, ranks);
  return result;
}

}  // namespace isochrone::sim::network
