#include "cli/timeline_json.h"

#include <nlohmann/json.hpp>

#include "plan/memory.h"

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

}  // namespace

void AddTimeline(const study::Prediction& p, ordered_json& answer) {
  const plan::Timeline& t = p.result.timeline;
  answer["timeline"] = {
      {"ranks", t.ranks == plan::Timeline::Ranks::kPipeline ? "pipeline" : "world"},
      {"rank_count", t.rank_count},
      {"columns", {"rank", "stream", "kind", "phase", "chunk", "microbatch", "start_s", "duration_s"}},
      {"spans", SpansJson(t)}};
  answer["memory_over_time"] = MemoryOverTime(p);
}

}  // namespace isochrone::cli
