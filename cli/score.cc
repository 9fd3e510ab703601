#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/table.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/answering.h"
#include "cli/inference_score.h"
#include "cli/stage_score.h"
#include "cli/verb.h"
#include "study/bars.h"
#include "study/score.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::FamilyScore;
using study::Score;
using study::ScoredRow;

struct Asked {
  std::string rows, csv;
  std::vector<std::string> bars;
  std::string bars_file;
  bool markdown = false, stages = false;
  Answering how;
};

Table FamilyTable(const Score& score) {
  Table table({{"family", "family", "", Align::kLeft},
               {"role", "role", "", Align::kLeft},
               {"rows", "rows"},
               {"scored", "scored"},
               {"mape_pct", "mean error", "%"},
               {"median_ape_pct", "median", "%"},
               {"bias_pct", "bias", "%"},
               {"max_ape_pct", "worst", "%"},
               {"regret_pct", "regret", "%"},
               {"coverage_pct", "coverage", "%"},
               {"interval_width_pct", "width", "%"},
               {"winkler_pct", "Winkler", "%"}});
  for (const FamilyScore& f : score.families) {
    auto percent = [](double ratio) { return Number{100 * ratio, 1}; };
    const bool any = f.scored > 0;
    auto known = [&](double ratio, bool has) { return has ? Cell(percent(ratio)) : Cell(std::monostate{}); };
    table.AddRow({f.family, f.role, std::int64_t{f.rows}, std::int64_t{f.scored}, known(f.mean, any),
                  known(f.median, any), known(f.bias, any), known(f.worst, any), known(f.regret, f.groups > 0),
                  known(f.coverage, any), known(f.width, any), known(f.winkler, any)});
  }
  return table;
}

Table RowTable(const Score& score) {
  Table table({{"id", "row", "", Align::kLeft},
               {"family", "family", "", Align::kLeft},
               {"role", "role", "", Align::kLeft},
               {"status", "status", "", Align::kLeft},
               {"predicted_s", "predicted", "s"},
               {"measured_s", "measured", "s"},
               {"error_pct", "error", "%"},
               {"low_s", "low", "s"},
               {"high_s", "high", "s"},
               {"unmeasured_pct", "unmeasured", "%"},
               {"reason", "reason", "", Align::kLeft}});
  for (const ScoredRow& r : score.rows) {
    const bool scored = r.status == "scored";
    auto known = [&](double v) { return scored ? Cell(Number{v, 3}) : Cell(std::monostate{}); };
    table.AddRow({r.id, r.family, r.role, r.status, known(r.predicted_s), Number{r.measured_s, 3},
                  known(scored ? 100 * r.Error() : 0), known(r.low_s), known(r.high_s),
                  scored ? Cell(Number{100 * r.unmeasured, 0}) : Cell(std::monostate{}), r.reason});
  }
  return table;
}

std::string ScoreJson(const Score& score, const std::string& command) {
  const ordered_json answer = {{"schema_version", 1},
                               {"kind", "score"},
                               {"families", ordered_json::parse(FamilyTable(score).Json())},
                               {"rows", ordered_json::parse(RowTable(score).Json())},
                               {"provenance", Provenance(command)}};
  return Printed(answer);
}

/// "family=percent" from the command line.
std::map<std::string, double> Bars(const std::vector<std::string>& texts) {
  std::map<std::string, double> bars;
  for (const std::string& text : texts) {
    const std::size_t eq = text.find('=');
    char* end = nullptr;
    const double percent = eq == std::string::npos ? -1 : std::strtod(text.c_str() + eq + 1, &end);
    if (!(percent >= 0) || *end != '\0')
      throw Error("--at-most " + text, "is not FAMILY=PERCENT", "write for example --at-most korthikanti=10");
    bars[text.substr(0, eq)] = percent;
  }
  return bars;
}

/// Says which stated bars are missed; true where none is.
bool BarsHold(const Score& score, const std::map<std::string, double>& bars) {
  bool hold = true;
  for (const auto& [family, percent] : bars) {
    bool found = false;
    for (const FamilyScore& f : score.families) {
      if (f.family != family || f.role != "held_out" || f.scored == 0) continue;
      found = true;
      if (100 * f.mean <= percent) continue;
      std::fprintf(stderr, "%s: mean error %s is over %s\n", family.c_str(), Percent(f.mean).c_str(),
                   Percent(percent / 100).c_str());
      hold = false;
    }
    if (!found)
      throw Error("--at-most " + family, "no held-out row of that family was scored",
                  "see the table without --at-most");
  }
  return hold;
}

std::string AskedOf(const study::Bar& bar) {
  std::string text;
  const auto say = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  if (bar.mean) say("mean " + Percent(*bar.mean));
  if (bar.worst) say("worst " + Percent(*bar.worst));
  if (bar.coverage_least) say("coverage " + Percent(*bar.coverage_least, 0) + " to " + Percent(*bar.coverage_most, 0));
  return text;
}

Table BarTable(const std::vector<study::BarResult>& results) {
  Table table({{"bar", "bar", "", Align::kLeft},
               {"asked", "at most", "", Align::kLeft},
               {"rows", "held-out rows"},
               {"mape_pct", "mean error", "%"},
               {"max_ape_pct", "worst", "%"},
               {"coverage_pct", "coverage", "%"},
               {"reached", "reached", "", Align::kLeft}});
  for (const study::BarResult& r : results) {
    const auto known = [&](double ratio) { return r.rows > 0 ? Cell(Number{100 * ratio, 1}) : Cell(std::monostate{}); };
    table.AddRow({r.bar.name, AskedOf(r.bar), std::int64_t{r.rows}, known(r.mean), known(r.worst), known(r.coverage),
                  std::string(r.rows == 0 ? "no rows"
                              : r.reached ? "yes"
                                          : "no")});
  }
  return table;
}

/// Prints the bars and says whether all that have rows are reached.
bool BarsOfFileHold(const Score& score, const Asked& asked) {
  if (asked.bars_file.empty()) return true;
  const std::vector<study::BarResult> results = study::Judge(study::ReadBars(asked.bars_file), score);
  bool hold = true, any = false;
  for (const study::BarResult& r : results) {
    any = any || r.rows > 0;
    hold = hold && (r.rows == 0 || r.reached);
  }
  if (!any)
    throw Error("--bars " + asked.bars_file, "names no family that was scored", "see the families without --bars");
  const Table table = BarTable(results);
  if (!asked.how.json) std::printf("%s\n", (asked.markdown ? table.Markdown() : table.Text()).c_str());
  return hold;
}

void Progress(std::size_t done, std::size_t all) {
  static const bool terminal = TerminalOf(stderr).is_terminal;
  if (!terminal) return;
  std::fprintf(stderr, "\r%zu of %zu rows%s", done, all, done == all ? "\n" : "");
}

int RunStages(const Asked& asked) {
  if (!asked.csv.empty() || !asked.bars.empty() || !asked.bars_file.empty() || !asked.how.store.empty())
    throw Error("--stages", "prints passes, which no bar, CSV file or store takes", "leave out the other option");
  return RunStageScore(asked.rows, asked.how.json   ? StageForm::kJson
                                   : asked.markdown ? StageForm::kMarkdown
                                                    : StageForm::kText);
}

int RunScore(const Asked& asked) {
  const auto bars = Bars(asked.bars);
  if (asked.stages) return RunStages(asked);
  if (IsInferenceTable(asked.rows)) return RunInferenceScore({asked.rows, asked.csv, bars, asked.how, asked.markdown});
  const bool published = asked.rows.empty();
  const Score score = study::ScoreRows(published ? study::PublishedRows() : study::ReadRows(asked.rows), Progress);
  if (!asked.csv.empty()) {
    std::ofstream out(asked.csv, std::ios::binary);
    out << RowTable(score).Csv();
    if (!out.flush())
      throw Error("--csv " + asked.csv, "cannot be written", "name a file in a folder that exists and can be written");
  }
  const bool bars_only = asked.markdown && !asked.bars_file.empty();
  const auto json = [&] { return ScoreJson(score, "isochrone score" + (published ? "" : " " + asked.rows)); };
  Save(asked.how, published ? "the catalogue's published runs" : asked.rows, json);
  if (asked.how.json) {
    std::fputs(json().c_str(), stdout);
  } else if (asked.markdown && !bars_only) {
    std::fputs((published ? RowTable(score) : FamilyTable(score)).Markdown().c_str(), stdout);
  } else if (!bars_only) {
    std::printf("%s\n", (published ? RowTable(score) : FamilyTable(score)).Text().c_str());
    std::map<std::string, int> reasons;
    for (const ScoredRow& r : score.rows) {
      if (r.status != "scored") ++reasons[r.family + ": " + r.reason];
    }
    for (const auto& [reason, n] : reasons) std::printf("skipped %d of %s\n", n, reason.c_str());
  }
  const bool file_holds = BarsOfFileHold(score, asked);
  return BarsHold(score, bars) && file_holds ? kAnswered : kDiffers;
}

}  // namespace

Verb ScoreVerb() {
  return {
      .name = "score",
      .summary = "predicts published measurements and says how far off it is",
      .example = "isochrone score",
      .declare = [](Options& options) {
        auto asked = std::make_shared<Asked>();
        options.Positional(asked->rows, "rows",
                           "published rows: training as JSON (docs/rows.md) or generations as CSV (docs/inference.md); "
                           "none: the catalogue's published runs",
                           false);
        options.Flag(asked->markdown, "--markdown", "print the table as Markdown");
        DeclareAnswering(options, asked->how);
        options.Text(asked->csv, "--csv", "also write every row to this CSV file");
        options.Flag(asked->stages, "--stages",
                     "of rows that print how long single passes take: those, beside their prices, instead");
        options.Texts(asked->bars, "--at-most",
                      "FAMILY=PERCENT: exit 3 if the family's mean error is larger; generations: SOURCE/METRIC=PERCENT "
                      "of the median");
        options.Text(asked->bars_file, "--bars",
                     "a file of bars, keys in docs/rows.md: print which are reached, exit 3 if one is missed; with "
                     "--markdown that table alone");
        return [asked] { return RunScore(*asked); };
      }};
}

}  // namespace isochrone::cli
