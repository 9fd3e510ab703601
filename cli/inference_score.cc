#include "cli/inference_score.h"

#include <nlohmann/json.hpp>

#include <cstdio>

#include "base/error.h"
#include "base/table.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/inputs.h"
#include "cli/verb.h"
#include "study/inference/score.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::InferenceScore;
using study::ScoredTime;
using study::TimesScore;

Table GroupTable(const InferenceScore& score) {
  Table table({{"source", "source", "", Align::kLeft},
               {"metric", "metric", "", Align::kLeft},
               {"hardware", "hardware", "", Align::kLeft},
               {"role", "role", "", Align::kLeft},
               {"status", "status", "", Align::kLeft},
               {"rows", "rows"},
               {"scored", "scored"},
               {"mape_pct", "mean error", "%"},
               {"median_ape_pct", "median", "%"},
               {"bias_pct", "bias", "%"},
               {"max_ape_pct", "worst", "%"}});
  for (const TimesScore& g : score.groups) {
    const auto percent = [&](double ratio) {
      return g.scored > 0 ? Cell(Number{100 * ratio, 1}) : Cell(std::monostate{});
    };
    table.AddRow({g.source, g.metric, g.hardware, g.role, g.status, std::int64_t{g.rows}, std::int64_t{g.scored},
                  percent(g.mean), percent(g.median), percent(g.bias), percent(g.worst)});
  }
  return table;
}

Table RowTable(const InferenceScore& score) {
  Table table({{"line", "line"},
               {"source", "source", "", Align::kLeft},
               {"metric", "metric", "", Align::kLeft},
               {"role", "role", "", Align::kLeft},
               {"status", "status", "", Align::kLeft},
               {"predicted_s", "predicted", "s"},
               {"measured_s", "measured", "s"},
               {"error_pct", "error", "%"},
               {"engine", "engine", "", Align::kLeft},
               {"reason", "reason", "", Align::kLeft}});
  for (const ScoredTime& t : score.rows) {
    const bool known = t.status != "skipped";
    const auto number = [&](double v) { return known ? Cell(Number{v, 4}) : Cell(std::monostate{}); };
    table.AddRow({std::int64_t{t.line}, t.source, t.metric, t.role, t.status, number(t.predicted_s),
                  number(t.measured_s), number(known ? 100 * t.Error() : 0), t.engine, t.reason});
  }
  return table;
}

std::string ScoreJson(const InferenceScore& score, const std::string& command) {
  return Printed({{"schema_version", 1},
                  {"kind", "inference_score"},
                  {"families", ordered_json::parse(GroupTable(score).Json())},
                  {"rows", ordered_json::parse(RowTable(score).Json())},
                  {"provenance", Provenance(command)}});
}

void Progress(std::size_t done, std::size_t all) {
  static const bool terminal = TerminalOf(stderr).is_terminal;
  if (terminal && (done % 64 == 0 || done == all))
    std::fprintf(stderr, "\r%zu of %zu rows%s", done, all, done == all ? "\n" : "");
}

bool BarsHold(const InferenceScore& score, const std::map<std::string, double>& bars) {
  bool hold = true;
  for (const auto& [name, percent] : bars) {
    bool found = false;
    for (const TimesScore& g : score.groups) {
      if (g.source + "/" + g.metric != name || g.hardware != "all" || g.role != "held_out" || g.scored == 0) continue;
      found = true;
      if (100 * g.median <= percent) continue;
      std::fprintf(stderr, "%s: median error %s is over %s\n", name.c_str(), Percent(g.median).c_str(),
                   Percent(percent / 100).c_str());
      hold = false;
    }
    if (!found)
      throw Error("--at-most " + name, "no held-out time of that SOURCE/METRIC was scored",
                  "see the table without --at-most");
  }
  return hold;
}

}  // namespace

bool IsInferenceTable(const std::string& path) { return path.size() > 4 && path.substr(path.size() - 4) == ".csv"; }

int RunInferenceScore(const InferenceScoreAsked& asked) {
  const InferenceScore score = study::ScoreInference(study::ReadInferenceRows(asked.rows), Progress);
  if (!asked.csv.empty()) WriteFile(asked.csv, RowTable(score).Csv());
  const auto json = [&] { return ScoreJson(score, "isochrone score " + asked.rows); };
  Save(asked.how, asked.rows, json);
  if (asked.how.json) {
    std::fputs(json().c_str(), stdout);
  } else if (asked.markdown) {
    std::fputs(GroupTable(score).Markdown().c_str(), stdout);
  } else {
    std::printf("%s\n", GroupTable(score).Text().c_str());
    std::map<std::string, int> reasons;
    for (const ScoredTime& t : score.rows) {
      if (t.status == "skipped") ++reasons[t.source + ": " + t.reason];
    }
    for (const auto& [reason, n] : reasons) std::printf("skipped %d of %s\n", n, reason.c_str());
  }
  return BarsHold(score, asked.bars) ? kAnswered : kDiffers;
}

}  // namespace isochrone::cli
