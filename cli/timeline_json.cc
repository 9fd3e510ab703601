#include "cli/timeline_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "plan/memory.h"
#include "sim/critical_path.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

const char* NameOf(plan::SpanKind kind) {
  static constexpr const char* kNames[] = {"task", "message", "side", "prologue", "epilogue", "op"};
  return kNames[static_cast<int>(kind)];
}

ordered_json SpansJson(const plan::Timeline& t) {
  ordered_json spans = ordered_json::array();
  for (const plan::Span& s : t.spans) {
    const bool of_task = s.kind == plan::SpanKind::kTask || s.kind == plan::SpanKind::kMessage;
    spans.push_back({s.rank, plan::NameOf(s.stream), NameOf(s.kind),
                     of_task ? ordered_json(plan::NameOf(s.task.phase))
                             : ordered_json(t.names.at(static_cast<std::size_t>(s.name))),
                     of_task ? s.task.chunk : 0, of_task ? s.task.microbatch : -1, s.start, s.end - s.start});
  }
  return spans;
}

/// Bytes on each stage's GPU at the start of each task.
ordered_json MemoryOverTime(const study::Prediction& p) {
  ordered_json stages = ordered_json::array();
  for (int rank = 0; rank < p.plan.schedule.placement.ranks; ++rank) {
    const std::vector<Bytes> bytes = plan::MemoryByTask(p.scenario, p.plan, rank);
    ordered_json times = ordered_json::array(), values = ordered_json::array();
    std::size_t i = 0;
    for (const plan::Span& s : p.result.timeline.spans) {
      if (s.rank != rank || s.kind != plan::SpanKind::kTask) continue;
      times.push_back(s.start);
      values.push_back(bytes.at(i++).value);
    }
    stages.push_back({{"stage", rank}, {"time_s", times}, {"bytes", values}});
  }
  return stages;
}

ordered_json CriticalPathJson(const std::vector<sim::CriticalStep>& path) {
  ordered_json steps = ordered_json::array();
  for (const sim::CriticalStep& s : path) {
    ordered_json step = {{"rank", s.rank}, {"start_s", s.start}, {"duration_s", s.end - s.start}};
    if (!s.name.empty()) {
      step["name"] = s.name;
    } else {
      step["stream"] = s.kind == sim::WorkKind::kMessage ? "pipeline" : "compute";
      step["phase"] = plan::NameOf(s.task.phase);
      step["chunk"] = s.task.chunk;
      step["microbatch"] = s.task.microbatch;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

/// Kinds of work whose absence would shorten the step, the greatest gain first.
ordered_json WhatIfJson(std::vector<sim::Gain> gains) {
  std::stable_sort(gains.begin(), gains.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  ordered_json out = ordered_json::array();
  for (const sim::Gain& g : gains) {
    if (g.seconds > 0) out.push_back({{"kind", sim::NameOf(g.kind)}, {"gain_s", g.seconds}});
  }
  return out;
}

bool SideTasksSlowCompute(const plan::Timeline& timeline, const sim::StepCosts& costs) {
  if (costs.compute_slowdown == 1 && costs.side_slowdown == 1) return false;
  return std::any_of(timeline.spans.begin(), timeline.spans.end(),
                     [](const plan::Span& s) { return s.kind == plan::SpanKind::kSide; });
}

}  // namespace

ordered_json TimelineJson(const plan::Timeline& t) {
  return {{"ranks", t.ranks == plan::Timeline::Ranks::kPipeline ? "pipeline" : "world"},
          {"rank_count", t.rank_count},
          {"columns", {"rank", "stream", "kind", "phase", "chunk", "microbatch", "start_s", "duration_s"}},
          {"spans", SpansJson(t)}};
}

void AddTimeline(const study::Prediction& p, ordered_json& answer) {
  answer["timeline"] = TimelineJson(p.result.timeline);
  answer["memory_over_time"] = MemoryOverTime(p);
  const sim::StepCosts& costs = p.pricing.step;
  if (SideTasksSlowCompute(p.result.timeline, costs)) return;  // a slowed pass has no single cause
  answer["critical_path"] = CriticalPathJson(sim::CriticalPath(p.plan, costs));
  answer["what_if"] = WhatIfJson(sim::GainsIfFree(p.plan, costs));
}

}  // namespace isochrone::cli
