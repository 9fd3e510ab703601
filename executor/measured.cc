#include "executor/measured.h"

#include <algorithm>
#include <numeric>

#include "base/statistics.h"
#include "plan/step_flops.h"

namespace isochrone::executor {
namespace {

/// The step whose time is the median of those after the first, which pays for fresh memory.
std::size_t MedianStep(const std::vector<double>& seconds) {
  std::vector<std::size_t> order(seconds.size());
  std::iota(order.begin(), order.end(), 0);
  if (order.size() > 1) order.erase(order.begin());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return seconds[a] < seconds[b]; });
  return order[order.size() / 2];
}

/// The attribution of a step that took `step` seconds: what no op took is the host's.
plan::Attribution Completed(plan::Attribution a, double own, double step) {
  a.host += Seconds(std::max(0.0, own - a.Sum().value));
  a.bubble += Seconds(step) - a.Sum();
  return a;
}

int BusiestRank(const std::vector<RankReport>& ranks, std::size_t step) {
  const auto busy = [&](const RankReport& r) {
    const plan::Attribution& a = r.records[step].attribution;
    return (a.compute + a.recompute).value;
  };
  const auto it = std::max_element(ranks.begin(), ranks.end(),
                                   [&](const RankReport& a, const RankReport& b) { return busy(a) < busy(b); });
  return static_cast<int>(it - ranks.begin());
}

plan::Timeline TimelineOf(const std::vector<RankReport>& ranks, std::size_t step) {
  plan::Timeline t;
  t.ranks = plan::Timeline::Ranks::kWorld;
  t.rank_count = static_cast<int>(ranks.size());
  double begin = ranks.front().records[step].start;
  for (const RankReport& r : ranks) begin = std::min(begin, r.records[step].start);
  for (const RankReport& r : ranks) {
    for (plan::Span span : r.records[step].spans) {
      if (span.name >= 0) {
        const std::string& name = r.names[static_cast<std::size_t>(span.name)];
        const auto it = std::find(t.names.begin(), t.names.end(), name);
        span.name = static_cast<int>(it - t.names.begin());
        if (it == t.names.end()) t.names.push_back(name);
      }
      span.start -= begin;
      span.end -= begin;
      t.end = std::max(t.end, span.end);
      t.spans.push_back(span);
    }
  }
  std::stable_sort(t.spans.begin(), t.spans.end(), [](const plan::Span& a, const plan::Span& b) {
    return std::tie(a.rank, a.stream, a.start) < std::tie(b.rank, b.stream, b.start);
  });
  return t;
}

void AddOperations(const plan::Plan& plan, const std::vector<RankReport>& ranks, int reported, double steps,
                   RunResult& result) {
  const OpTimes& own = ranks[static_cast<std::size_t>(reported)].times;
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    for (std::size_t phase = 0; phase < plan::kPhases; ++phase) {
      const std::vector<plan::Op>& ops = plan.programs[p].ops[phase];
      for (std::size_t i = 0; i < ops.size(); ++i) {
        if (own.count[p][phase][i] == 0) continue;
        double seconds = 0, count = 0;
        for (const RankReport& r : ranks) {
          seconds += r.times.seconds[p][phase][i];
          count += r.times.count[p][phase][i];
        }
        result.operations.push_back({.program = plan.programs[p].name,
                                     .name = ops[i].name,
                                     .program_index = static_cast<int>(p),
                                     .phase = static_cast<plan::Phase>(phase),
                                     .index = static_cast<int>(i),
                                     .count = own.count[p][phase][i] / steps,
                                     .seconds = seconds / count});
      }
    }
  }
  for (const auto& [name, sum] : own.step_ops) result.step_seconds_by_op[name] = sum.first / steps;
}

}  // namespace

void Measure(const plan::Scenario& scenario, const plan::Plan& plan, const std::vector<RankReport>& ranks,
             RunResult& result) {
  const std::size_t step = MedianStep(result.step_seconds);
  plan::Metrics& m = result.metrics;
  m.step_time = m.makespan = Seconds(result.step_seconds[step]);
  const auto measured_from = result.step_seconds.begin() + (result.step_seconds.size() > 1 ? 1 : 0);
  m.low = Seconds(*std::min_element(measured_from, result.step_seconds.end()));
  m.high = Seconds(*std::max_element(measured_from, result.step_seconds.end()));
  m.reported_rank = BusiestRank(ranks, step);
  const StepRecord& record = ranks[static_cast<std::size_t>(m.reported_rank)].records[step];
  m.attribution = Completed(record.attribution, record.end - record.start, m.step_time.value);
  const double tokens = static_cast<double>(scenario.batch.sequences * scenario.model.sequence);
  m.tokens_per_s = tokens / m.step_time.value;
  const plan::StepFlops flops = plan::FlopsOfStep(plan);
  m.model_flops = flops.model;
  m.hardware_flops = flops.hardware;
  m.model_tflops_per_gpu = m.model_flops.value / m.step_time.value / plan.layout.World() / kTera;
  const double ideal = (record.attribution.compute + record.attribution.recompute).value;
  m.bubble_over_ideal = ideal > 0 ? m.attribution.bubble.value / ideal : 0;
  m.bubble_over_total = m.attribution.bubble / m.step_time;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    plan::StageMemory memory = ranks[r].memory;
    memory.stage = plan::CoordinatesOf(plan.layout, static_cast<int>(r)).pp;
    result.memory.push_back(memory);
  }
  for (int stage = 0; stage < plan.layout.pp; ++stage) {
    const plan::StageMemory* fullest = nullptr;
    for (const plan::StageMemory& one : result.memory) {
      if (one.stage == stage && (fullest == nullptr || fullest->Total() < one.Total())) fullest = &one;
    }
    m.memory.push_back(*fullest);
  }
  m.memory_capacity = scenario.cluster.node.gpu.memory;
  result.timeline = TimelineOf(ranks, step);
  const std::size_t steps = result.step_seconds.size();
  AddOperations(plan, ranks, m.reported_rank, static_cast<double>(steps > 1 ? steps - 1 : steps), result);
}

}  // namespace isochrone::executor
