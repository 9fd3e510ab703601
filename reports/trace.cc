#include "reports/trace.h"

#include <algorithm>
#include <map>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;

/// One span of the JSON timeline, its columns by name.
struct Span {
  std::string stream, kind, phase, own_name;
  double start = 0, end = 0;  // seconds
  std::int64_t rank = 0, chunk = 0, microbatch = 0;
};

Span SpanOf(const json& timeline, const json& row) {
  const json& columns = Member(timeline, "columns");
  Span span;
  double duration = 0;
  for (std::size_t i = 0; i < std::min(columns.size(), row.size()); ++i) {
    const std::string name = columns[i].is_string() ? columns[i].get<std::string>() : "";
    const json& value = row[i];
    if (value.is_string()) {
      if (name == "stream") span.stream = value;
      if (name == "kind") span.kind = value;
      if (name == "phase") span.phase = value;
    } else if (value.is_number()) {
      if (name == "rank") span.rank = value;
      if (name == "chunk") span.chunk = value;
      if (name == "microbatch") span.microbatch = value;
      if (name == "start_s") span.start = value;
      if (name == "duration_s") duration = value;
      const json& names = Member(timeline, "names");
      if (name == "name" && value.is_number_integer() && value >= 0 && value < names.size()) {
        const json& word = names[value.get<std::size_t>()];
        if (word.is_string()) span.own_name = word;
      }
    }
  }
  span.end = span.start + duration;
  return span;
}

std::string NameOf(const Span& span) {
  if (!span.own_name.empty()) return span.own_name;
  // A span that is no task has its own name where a task has its phase.
  if (span.kind != "task" && span.kind != "message") return span.phase.empty() ? span.kind : span.phase;
  const std::string direction = span.phase.rfind("backward", 0) == 0 ? "backward" : "forward";
  if (span.kind == "message" || span.stream == "pipeline") return direction + "-send-recv";
  if (span.stream == "data") return "all-grads-sync";
  if (span.phase == "backward_input") return "backward-compute (input)";
  if (span.phase == "backward_weight") return "backward-compute (weight)";
  if (span.phase == "forward" || span.phase == "backward") return direction + "-compute";
  if (span.phase == "overlapped") return "forward-backward-compute";
  return span.phase.empty() ? span.kind : span.phase;
}

std::string FullName(const Span& span) {
  return NameOf(span) + (span.microbatch >= 0 ? " " + std::to_string(span.microbatch) : "");
}

/// The timeline's spans by rank and stream, each list by start, an enclosing span before what it encloses.
using Tracks = std::map<std::pair<std::int64_t, std::string>, std::vector<Span>>;

const json& TimelineOf(const Answer& answer) {
  const json& timeline = Member(answer.Body(), "timeline");
  if (!Member(timeline, "spans").is_array()) {
    throw Error(answer.name, "has no timeline, so there is nothing to trace",
                "predict it again with --json --timeline");
  }
  return timeline;
}

Tracks TracksOf(const json& timeline) {
  Tracks tracks;
  for (const json& row : Member(timeline, "spans")) {
    Span span = SpanOf(timeline, row);
    auto& track = tracks[{span.rank, span.stream}];
    track.push_back(std::move(span));
  }
  for (auto& [key, track] : tracks) {
    std::stable_sort(track.begin(), track.end(), [](const Span& a, const Span& b) {
      return a.start != b.start ? a.start < b.start : a.end > b.end;
    });
  }
  return tracks;
}

std::string RankName(const json& timeline, std::int64_t rank) {
  return (TextOf(timeline, "ranks") == "world" ? "rank " : "pipeline rank ") + std::to_string(rank);
}

std::string Dump(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace); }

}  // namespace

std::string MegatronName(const json& timeline, const json& span) { return NameOf(SpanOf(timeline, span)); }

std::string RenderChromeTrace(const Answer& answer) {
  const json& timeline = TimelineOf(answer);
  constexpr double kMicrosecond = 1e-6;
  json events = json::array();
  std::map<std::int64_t, int> tracks_of_rank;
  for (const auto& [key, track] : TracksOf(timeline)) {
    const auto& [rank, stream] = key;
    const int thread = tracks_of_rank[rank]++;
    if (thread == 0) {
      events.push_back(
          {{"ph", "M"}, {"name", "process_name"}, {"pid", rank}, {"args", {{"name", RankName(timeline, rank)}}}});
    }
    events.push_back(
        {{"ph", "M"}, {"name", "thread_name"}, {"pid", rank}, {"tid", thread}, {"args", {{"name", stream}}}});
    for (const Span& span : track) {
      json event = {{"ph", "X"},
                    {"name", FullName(span)},
                    {"cat", span.kind},
                    {"pid", rank},
                    {"tid", thread},
                    {"ts", span.start / kMicrosecond},
                    {"dur", (span.end - span.start) / kMicrosecond}};
      if (span.microbatch >= 0) {
        event["args"] = {{"phase", span.phase}, {"chunk", span.chunk}, {"microbatch", span.microbatch}};
      }
      events.push_back(std::move(event));
    }
  }
  return Dump({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}});
}

std::string RenderSpeedscope(const Answer& answer) {
  const json& timeline = TimelineOf(answer);
  json frames = json::array(), profiles = json::array();
  std::map<std::string, std::size_t> frame_of;
  for (const auto& [key, track] : TracksOf(timeline)) {
    json events = json::array();
    std::vector<std::pair<std::size_t, double>> open;  // frame, end
    double last = 0;
    const auto close_until = [&](double time) {
      for (; !open.empty() && open.back().second <= time; open.pop_back()) {
        last = std::max(last, open.back().second);
        events.push_back({{"type", "C"}, {"frame", open.back().first}, {"at", last}});
      }
    };
    for (const Span& span : track) {
      close_until(span.start);
      const auto [at, fresh] = frame_of.emplace(FullName(span), frames.size());
      if (fresh) frames.push_back({{"name", at->first}});
      last = std::max(last, span.start);
      events.push_back({{"type", "O"}, {"frame", at->second}, {"at", last}});
      open.emplace_back(at->second, open.empty() ? span.end : std::min(span.end, open.back().second));
    }
    if (!open.empty()) close_until(open.front().second);
    profiles.push_back({{"type", "evented"},
                        {"name", RankName(timeline, key.first) + ", " + key.second},
                        {"unit", "seconds"},
                        {"startValue", 0},
                        {"endValue", last},
                        {"events", std::move(events)}});
  }
  return Dump({{"$schema", "https://www.speedscope.app/file-format-schema.json"},
               {"name", answer.name},
               {"shared", {{"frames", std::move(frames)}}},
               {"profiles", std::move(profiles)}});
}

}  // namespace isochrone::reports
