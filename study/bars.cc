#include "study/bars.h"

#include "base/error.h"
#include "base/json.h"

namespace isochrone::study {
namespace {

std::optional<double> Share(const Json& json, const char* key) {
  if (!json.Has(key)) return std::nullopt;
  return json.At(key).Number(0, 1e4) / 100;
}

Bar BarFrom(const Json& json) {
  json.Allow({"name", "family", "locus", "most_tensor", "experts", "mean_error_pct", "worst_pct", "coverage_pct"});
  Bar bar;
  bar.name = json.At("name").String();
  bar.family = json.At("family").String();
  if (json.Has("locus")) bar.locus = json.At("locus").String();
  if (json.Has("most_tensor")) bar.most_tensor = static_cast<int>(json.At("most_tensor").Int(1, 1 << 20));
  if (json.Has("experts")) bar.experts = json.At("experts").Bool();
  bar.mean = Share(json, "mean_error_pct");
  bar.worst = Share(json, "worst_pct");
  if (json.Has("coverage_pct")) {
    const Json range = json.At("coverage_pct");
    if (range.Size() != 2) range.Fail("is no range", "write [70, 90]");
    bar.coverage_least = range.At(std::size_t{0}).Number(0, 100) / 100;
    bar.coverage_most = range.At(std::size_t{1}).Number(0, 100) / 100;
  }
  if (!bar.mean && !bar.worst && !bar.coverage_least) json.Fail("asks for nothing", "give mean_error_pct");
  return bar;
}

bool Concerns(const Bar& bar, const ScoredRow& row) {
  return row.status == "scored" && row.role == "held_out" && row.family == bar.family &&
         row.locus.starts_with(bar.locus) && (bar.most_tensor == 0 || row.tensor <= bar.most_tensor) &&
         (!bar.experts || *bar.experts == row.experts);
}

bool Reached(const BarResult& r) {
  const Bar& bar = r.bar;
  return (!bar.mean || r.mean <= *bar.mean) && (!bar.worst || r.worst <= *bar.worst) &&
         (!bar.coverage_least || (r.coverage >= *bar.coverage_least && r.coverage <= *bar.coverage_most));
}

}  // namespace

std::vector<Bar> ReadBars(const std::string& path) {
  const Json json = Json::File(path);
  json.Allow({"bars", "source"});
  std::vector<Bar> bars;
  for (const Json& item : json.At("bars").Items()) bars.push_back(BarFrom(item));
  return bars;
}

std::vector<BarResult> Judge(const std::vector<Bar>& bars, const Score& score) {
  std::vector<BarResult> results;
  for (const Bar& bar : bars) {
    std::vector<const ScoredRow*> rows;
    for (const ScoredRow& row : score.rows) {
      if (Concerns(bar, row)) rows.push_back(&row);
    }
    const FamilyScore f = Summarise(bar.family, "held_out", rows);
    BarResult result{.bar = bar,
                     .rows = f.scored,
                     .mean = f.mean,
                     .worst = f.worst,
                     .coverage = f.coverage,
                     .width = f.width,
                     .winkler = f.winkler};
    result.reached = result.rows > 0 && Reached(result);
    results.push_back(result);
  }
  return results;
}

}  // namespace isochrone::study
