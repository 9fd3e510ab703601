#include "cli/sweep_each.h"

#include <nlohmann/json.hpp>

#include <sstream>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/sweep_answer.h"
#include "study/search/result_file.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

const study::Candidate* BestOf(const BestOfEach& one) {
  return one.result.best.empty() ? nullptr : &one.result.best.front();
}

/// What the combination lists, "cluster/nodes 8".
std::string NameOf(const BestOfEach& one) {
  std::string words;
  for (std::size_t k = 0; k < one.space.base_keys.size(); ++k) {
    const std::string key = one.space.base_keys[k].substr(1), &value = one.space.base_values.front()[k];
    words += (words.empty() ? "" : ", ") + (key == "scenario" ? value : key + " " + value);
  }
  return words.empty() ? "all" : words;
}

/// The values of the strategy alone.
std::string ChoiceOf(const BestOfEach& one) {
  const study::Candidate* best = BestOf(one);
  if (!best) return "none fits";
  std::string words;
  const auto varied = study::VariedOf(one.space, best->index);
  for (std::size_t i = one.space.base_keys.size(); i < varied.size(); ++i)
    words += (words.empty() ? "" : ", ") + varied[i].first + " " + varied[i].second;
  if (one.space.data_follows)
    words += ", data " + std::to_string(study::ScenarioAt(one.space, best->index).strategy.data);
  return words;
}

}  // namespace

std::optional<double> BestOfEach::Regret() const {
  if (!chosen_step_time || result.best.empty()) return std::nullopt;
  return *chosen_step_time / result.best.front().estimate.step_time - 1;
}

std::vector<BestOfEach> SearchEach(const study::Space& space, int jobs, const std::atomic<bool>& stop) {
  std::vector<BestOfEach> all;
  for (std::size_t base = 0; base < space.bases.size(); ++base) {
    BestOfEach one{study::OnlyBase(space, base), {}, std::nullopt};
    study::SweepOptions options;
    options.jobs = jobs;
    options.prune = true;
    options.stop = &stop;
    one.result = study::Sweep(one.space, options);
    const auto& chosen = one.space.chosen.front();
    if (chosen) one.chosen_step_time = study::EstimateOf(*chosen).estimate.step_time;
    all.push_back(std::move(one));
  }
  return all;
}

std::string EachJson(const study::Space& space, const std::vector<BestOfEach>& all, const std::string& command) {
  ordered_json each = ordered_json::array();
  std::int64_t legal = 0, pruned = 0, priced = 0;
  double elapsed = 0;
  for (const BestOfEach& one : all) {
    ordered_json entry;
    for (std::size_t k = 0; k < one.space.base_keys.size(); ++k)
      entry[one.space.base_keys[k]] = ordered_json::parse(study::AsJson(one.space.base_values.front()[k]));
    const study::Candidate* best = BestOf(one);
    entry["best"] = best ? ordered_json::parse(ConfigurationText(one.space, *best)) : ordered_json();
    if (one.chosen_step_time) entry["chosen_step_time_s"] = *one.chosen_step_time;
    if (const auto regret = one.Regret()) entry["regret_pct"] = 100 * *regret;
    each.push_back(std::move(entry));
    legal += one.result.legal;
    pruned += one.result.pruned;
    priced += one.result.priced;
    elapsed += one.result.elapsed_s;
  }
  const ordered_json document = {
      {"schema_version", 1},
      {"kind", "sweep"},
      {"scenario", {{"file", space.file}, {"question", space.question}, {"model", space.bases.front().model.name}}},
      {"objective", study::ObjectiveNames()[static_cast<std::size_t>(space.objective)]},
      {"legal", legal},
      {"pruned", pruned},
      {"priced", priced},
      {"elapsed_s", elapsed},
      {"each", each},
      {"provenance", Provenance(command, {{"fidelity", "analytic"}})}};
  return Printed(document);
}

std::string EachText(const study::Space& space, const std::vector<BestOfEach>& all) {
  std::ostringstream out;
  if (!space.question.empty()) out << space.question << "\n\n";
  const bool chosen = !all.empty() && all.front().chosen_step_time.has_value();
  std::vector<Column> columns = {{"of", "of", "", Align::kLeft},
                                 {"best", "best", "", Align::kLeft},
                                 {"step_time_s", "step", "s"},
                                 {"memory", "memory", "GiB"}};
  if (chosen) {
    columns.push_back({"chosen_step_time_s", "its own choice", "s"});
    columns.push_back({"regret_pct", "regret", "%"});
  }
  Table table(columns);
  for (const BestOfEach& one : all) {
    const study::Candidate* best = BestOf(one);
    const auto number = [&](double value, int digits) {
      return best ? Cell(Number{value, digits}) : Cell(std::monostate{});
    };
    std::vector<Cell> row = {NameOf(one), ChoiceOf(one), number(best ? best->estimate.step_time : 0, 3),
                             number(best ? best->estimate.memory / kGibi : 0, 1)};
    if (chosen) {
      row.push_back(Number{one.chosen_step_time.value_or(0), 3});
      row.push_back(number(100 * one.Regret().value_or(0), 2));
    }
    table.AddRow(row);
  }
  out << table.Text(120);
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (chosen || all[i].space.base_keys.size() != 1 || ChoiceOf(all[i - 1]) == ChoiceOf(all[i])) continue;
    out << "The best changes between " << NameOf(all[i - 1]) << " and " << all[i].space.base_values.front().front()
        << ".\n";
  }
  return out.str();
}

}  // namespace isochrone::cli
