#include "study/score.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/statistics.h"
#include "base/text.h"
#include "study/interval.h"
#include "study/predict.h"

namespace isochrone::study {
namespace {

/// What stays fixed while a strategy is chosen: model, sequence, hardware, batch.
std::string GroupOf(const Row& row) {
  const plan::Scenario& s = *row.scenario;
  const plan::Model& m = s.model;
  std::string key = row.family;
  for (const double part :
       {double(m.layers), double(m.hidden), double(m.heads), double(m.ffn), double(m.sequence), double(m.vocabulary),
        double(s.cluster.Gpus()), double(s.batch.sequences), double(s.strategy.precision)}) {
    key += "/" + Exact(part);
  }
  return key + "/" + s.cluster.node.gpu.name + "/" + s.strategy.framework;
}

ScoredRow ScoreRow(const Row& row, const std::set<std::string>& fitted) {
  ScoredRow scored{.id = row.id,
                   .family = row.family,
                   .role = fitted.count(row.id) ? "fit" : "held_out",
                   .status = "skipped",
                   .reason = row.reason,
                   .assumed = row.assumed,
                   .group = "",
                   .locus = row.locus};
  if (row.step_time) scored.measured_s = row.step_time->value;
  if (!row.scenario) return scored;
  scored.tensor = row.scenario->strategy.tensor;
  scored.experts = row.scenario->model.moe.has_value();
  if (!row.step_time) {
    scored.reason = "the row has no measured step time";
    return scored;
  }
  try {
    const Prediction p = Predict(*row.scenario);
    scored.predicted_s = p.metrics.step_time.value;
    scored.low_s = p.metrics.low.value;
    scored.high_s = p.metrics.high.value;
    scored.unmeasured = UnmeasuredShare(p.operations, CostsOf(*row.scenario));
    scored.status = "scored";
    scored.group = GroupOf(row);
  } catch (const Error& e) {
    scored.reason = e.what();
  }
  return scored;
}

/// Mean over groups of how much slower the predicted best is than the measured best.
void AddRegret(const std::vector<const ScoredRow*>& rows, FamilyScore& score) {
  std::map<std::string, std::vector<const ScoredRow*>> groups;
  for (const ScoredRow* r : rows) groups[r->group].push_back(r);
  for (const auto& [key, members] : groups) {
    if (members.size() < 2) continue;
    const auto chosen = *std::min_element(members.begin(), members.end(),
                                          [](const auto* a, const auto* b) { return a->predicted_s < b->predicted_s; });
    const auto best = *std::min_element(members.begin(), members.end(),
                                        [](const auto* a, const auto* b) { return a->measured_s < b->measured_s; });
    score.regret += chosen->measured_s / best->measured_s - 1;
    ++score.groups;
  }
  if (score.groups > 0) score.regret /= score.groups;
}

}  // namespace

FamilyScore Summarise(const std::string& family, const std::string& role, const std::vector<const ScoredRow*>& rows) {
  FamilyScore score{.family = family, .role = role, .rows = static_cast<int>(rows.size())};
  std::vector<const ScoredRow*> scored;
  std::vector<double> predicted, measured, ones;
  std::vector<Interval> intervals;
  for (const ScoredRow* r : rows) {
    if (r->status != "scored") continue;
    scored.push_back(r);
    predicted.push_back(r->predicted_s);
    measured.push_back(r->measured_s);
    ones.push_back(1);
    intervals.push_back({r->low_s / r->measured_s, r->high_s / r->measured_s});
    score.width += (r->high_s - r->low_s) / r->measured_s;
  }
  score.scored = static_cast<int>(scored.size());
  if (scored.empty()) return score;
  score.mean = MeanAbsoluteRelativeError(predicted, measured);
  score.median = MedianAbsoluteRelativeError(predicted, measured);
  score.bias = Bias(predicted, measured);
  score.worst = WorstAbsoluteRelativeError(predicted, measured);
  score.coverage = Coverage(intervals, ones);
  score.width /= static_cast<double>(scored.size());
  score.winkler = WinklerScore(intervals, ones, 0.2);
  AddRegret(scored, score);
  return score;
}

std::vector<Row> PublishedRows() {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(plan::CatalogueFolder()) / "published")) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Row> rows;
  for (const fs::path& file : files) {
    plan::Scenario scenario = plan::ReadScenario(file.string());
    if (!scenario.published || !scenario.published->step_time) continue;
    const std::string name = file.stem().string(), source = scenario.published->source;
    rows.push_back({.id = name,
                    .family = source.substr(0, source.find(',')),
                    .source = source,
                    .locus = "",
                    .priority = 1,
                    .scenario = scenario,
                    .reason = "",
                    .step_time = scenario.published->step_time,
                    .memory = {},
                    .memory_kind = "",
                    .stage = {},
                    .unstated = {},
                    .assumed = {},
                    .ignored = {}});
  }
  return rows;
}

Score ScoreRows(const std::vector<Row>& rows, void (*progress)(std::size_t done, std::size_t all)) {
  Score score;
  const std::set<std::string> fitted = costmodel::FittedRows();
  for (const Row& row : rows) {
    score.rows.push_back(ScoreRow(row, fitted));
    if (progress) progress(score.rows.size(), rows.size());
  }
  std::map<std::pair<std::string, std::string>, std::vector<const ScoredRow*>> families;
  for (const ScoredRow& row : score.rows) families[{row.family, row.role}].push_back(&row);
  for (const auto& [key, members] : families) score.families.push_back(Summarise(key.first, key.second, members));
  return score;
}

}  // namespace isochrone::study
