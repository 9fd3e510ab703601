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

/// What the combination lists, "cluster/nodes 8".
std::string NameOf(const study::BestOfEach& one) {
  std::string words;
  for (std::size_t k = 0; k < one.space.base_keys.size(); ++k) {
    const std::string key = one.space.base_keys[k].substr(1), &value = one.space.base_values.front()[k];
    words += (words.empty() ? "" : ", ") + (key == "scenario" ? value : key + " " + value);
  }
  return words.empty() ? "all" : words;
}

}  // namespace

std::string EachJson(const study::Space& space, const std::vector<study::BestOfEach>& all, const std::string& command) {
  ordered_json each = ordered_json::array();
  std::int64_t legal = 0, pruned = 0, priced = 0;
  double elapsed = 0;
  for (const study::BestOfEach& one : all) {
    ordered_json entry;
    for (std::size_t k = 0; k < one.space.base_keys.size(); ++k)
      entry[one.space.base_keys[k]] = ordered_json::parse(study::AsJson(one.space.base_values.front()[k]));
    const study::Candidate* best = one.Best();
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

std::string EachText(const study::Space& space, const std::vector<study::BestOfEach>& all) {
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
  for (const study::BestOfEach& one : all) {
    const study::Candidate* best = one.Best();
    const auto number = [&](double value, int digits) {
      return best ? Cell(Number{value, digits}) : Cell(std::monostate{});
    };
    std::vector<Cell> row = {NameOf(one), one.Choice(), number(best ? best->estimate.step_time : 0, 3),
                             number(best ? best->estimate.memory / kGibi : 0, 1)};
    if (chosen) {
      row.push_back(Number{one.chosen_step_time.value_or(0), 3});
      row.push_back(number(100 * one.Regret().value_or(0), 2));
    }
    table.AddRow(row);
  }
  out << table.Text(120);
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (chosen || all[i].space.base_keys.size() != 1 || all[i - 1].Choice() == all[i].Choice()) continue;
    out << "The best changes between " << NameOf(all[i - 1]) << " and " << all[i].space.base_values.front().front()
        << ".\n";
  }
  return out.str();
}

std::string BreakEvenJson(const study::Space& space, const study::BreakEvens& all, const std::string& command) {
  ordered_json points = ordered_json::array();
  const auto best = [](const study::BestOfEach& of) {
    return of.Best() ? ordered_json::parse(ConfigurationText(of.space, *of.Best())) : ordered_json();
  };
  for (const study::BreakEven& point : all.points)
    points.push_back({{"below", point.below},
                      {"above", point.above},
                      {"best_below", best(point.best_below)},
                      {"best_above", best(point.best_above)}});
  const ordered_json document = {{"schema_version", 1},
                                 {"kind", "sweep"},
                                 {"scenario", {{"file", space.file}, {"question", space.question}}},
                                 {"objective", study::ObjectiveNames()[static_cast<std::size_t>(space.objective)]},
                                 {"key", space.base_keys.front()},
                                 {"break_even", points},
                                 {"provenance", Provenance(command, {{"fidelity", "analytic"}})}};
  return Printed(document);
}

std::string BreakEvenText(const study::Space& space, const study::BreakEvens& all) {
  std::ostringstream out;
  const std::string key = space.base_keys.front().substr(1);
  if (!space.question.empty()) out << space.question << "\n\n";
  Table table(
      {{"from", "from"}, {"to", "to"}, {"best", "best", "", Align::kLeft}, {"step_time_s", "step at \"from\"", "s"}});
  const auto row = [&](const std::string& from, const std::string& to, const study::BestOfEach& of) {
    const study::Candidate* best = of.Best();
    table.AddRow({from, to, of.Choice(), best ? Cell(Number{best->estimate.step_time, 3}) : Cell(std::monostate{})});
  };
  std::string from = ThreeDigits(all.least);
  const study::BestOfEach* best = &all.best_of_least;
  for (const study::BreakEven& point : all.points) {
    row(from, ThreeDigits(point.below), *best);
    from = ThreeDigits(point.above);
    best = &point.best_above;
  }
  row(from, ThreeDigits(all.most), *best);
  out << "Where the best changes with " << key << ":\n\n" << table.Text(120);
  return out.str();
}

}  // namespace isochrone::cli
