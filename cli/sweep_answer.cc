#include "cli/sweep_answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "plan/strategy.h"
#include "study/search/objective.h"
#include "study/search/result_file.h"

#include "costmodel/profile.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;
using study::Candidate;
using study::Estimate;

const std::vector<std::pair<const char*, double Estimate::*>>& Terms() {
  static const std::vector<std::pair<const char*, double Estimate::*>> terms = {
      {"work of the busiest rank", &Estimate::ideal},
      {"bubble", &Estimate::bubble},
      {"pipeline messages", &Estimate::messages},
      {"gradients and parameters that nothing hides", &Estimate::data},
      {"reductions, norm and optimizer after the pipeline", &Estimate::around},
      {"host", &Estimate::host}};
  return terms;
}

struct Rates {
  double tokens_per_s, mfu;
};

Rates RatesOf(const Candidate& c, const plan::Scenario& s) {
  const double time = c.estimate.step_time;
  const double peak = costmodel::PeakRate(s.cluster.node.gpu, s.strategy.precision).value;
  return {static_cast<double>(c.sequences) * static_cast<double>(s.model.sequence) / time,
          c.model_flops / time / c.gpus / peak};
}

ordered_json ConfigurationJson(const study::Space& space, const Candidate& c) {
  const plan::Scenario s = study::ScenarioAt(space, c.index);
  const Rates rates = RatesOf(c, s);
  ordered_json one = {{"index", c.index}};
  for (const auto& [key, value] : study::VariedOf(space, c.index)) one[key] = ordered_json::parse(study::AsJson(value));
  one["data"] = s.strategy.data;
  one["gpus"] = c.gpus;
  one["sequences"] = c.sequences;
  one["microbatch"] = s.batch.microbatch;
  one["step_time_s"] = c.estimate.step_time;
  one["memory_bytes"] = c.estimate.memory;
  one["tokens_per_s"] = rates.tokens_per_s;
  one["mfu"] = rates.mfu;
  one["bubble_over_total"] = c.estimate.bubble / c.estimate.step_time;
  one["fits"] = c.fits;
  return one;
}

ordered_json ConfirmedJson(const study::Space& space, const study::Confirmed& of) {
  const plan::Scenario s = study::ScenarioAt(space, of.candidate.index);
  ordered_json one = ConfigurationJson(space, of.candidate);
  ordered_json strategy;
  for (const plan::StrategyKey& key : plan::StrategyKeys())
    strategy[key.name] = ordered_json::parse(study::AsJson(key.show(s.strategy)));
  one["strategy"] = strategy;
  const Estimate& e = of.candidate.estimate;
  one["terms_s"] = {{"ideal", e.ideal}, {"bubble", e.bubble}, {"messages", e.messages},
                    {"data", e.data},   {"around", e.around}, {"host", e.host}};
  if (space.tokens > 0) {
    const study::Training t = study::TrainingOf(space, of.candidate, of.StepTime());
    one["days"] = t.days;
    one["gpu_hours"] = t.gpu_hours;
    if (t.usd > 0) one["training_usd"] = t.usd;
  }
  if (space.gpu_hour_usd[study::BaseOf(space, of.candidate.index)] > 0)
    one["usd_per_million_tokens"] = study::UsdPerMillionTokens(space, of.candidate, of.StepTime());
  if (of.event_step_time > 0) one["event_step_time_s"] = of.event_step_time;
  if (of.network_step_time > 0) one["network_step_time_s"] = of.network_step_time;
  return one;
}

std::vector<std::string> AxisNames(const study::Space& space) {
  std::vector<std::string> names = space.base_keys;
  for (const study::Axis& axis : space.axes.front()) names.push_back(axis.key);
  return names;
}

/// "tensor 8, pipeline 16, …"
std::string Words(const study::Space& space, const Candidate& c) {
  std::string words;
  for (const auto& [key, value] : study::VariedOf(space, c.index))
    words += (words.empty() ? "" : ", ") + key + " " + value;
  if (space.data_follows)
    words += (words.empty() ? "data " : ", data ") + std::to_string(study::ScenarioAt(space, c.index).strategy.data);
  return words;
}

/// Days, GPU-hours and cost, where the sweep asks for them.
void TellTraining(const study::Space& space, const study::Confirmed& best, std::ostringstream& out) {
  const double price = space.gpu_hour_usd[study::BaseOf(space, best.candidate.index)];
  if (space.tokens > 0) {
    const study::Training t = study::TrainingOf(space, best.candidate, best.StepTime());
    out << "  " << ThreeDigits(space.tokens) << " tokens take " << ThreeDigits(t.days) << " days and "
        << ThreeDigits(t.gpu_hours) << " GPU-hours";
    if (price > 0) out << ", " << ThreeDigits(t.usd) << " USD";
    out << "\n";
  }
  if (price > 0)
    out << "  " << ThreeDigits(study::UsdPerMillionTokens(space, best.candidate, best.StepTime()))
        << " USD for a million tokens\n";
}

void Tell(const study::Space& space, const SweepAnswer& answer, std::ostringstream& out) {
  const study::Confirmed& best = answer.best.front();
  out << "\nBest: " << Words(space, best.candidate) << "\n";
  TellTraining(space, best, out);
  const auto first = std::min_element(answer.best.begin(), answer.best.end(),
                                      [](const auto& a, const auto& b) { return a.candidate < b.candidate; });
  if (first->candidate.index != best.candidate.index)
    out << "  the closed form alone would have named " << Words(space, first->candidate) << "\n";
  if (answer.best.size() < 2) return;
  const study::Confirmed& second = answer.best[1];
  out << "Runner-up: " << Words(space, second.candidate) << "\n";
  out << "  " << Percent(second.score / best.score - 1, 2) << " behind; "
      << WhyBetter(best.candidate.estimate, second.candidate.estimate) << "\n";
}

/// What readers noted of the scenarios that are varied, each once.
std::vector<std::string> NotesOf(const study::Space& space) {
  std::vector<std::string> notes;
  for (const plan::Scenario& base : space.bases) {
    for (const std::string& note : base.notes) {
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    }
  }
  return notes;
}

}  // namespace

std::string ConfigurationText(const study::Space& space, const Candidate& candidate) {
  return ConfigurationJson(space, candidate).dump();
}

std::string WhyBetter(const Estimate& better, const Estimate& other) {
  const char* name = nullptr;
  double most = 0;
  for (const auto& [term, member] : Terms()) {
    const double gain = other.*member - better.*member;
    if (gain > most) {
      most = gain;
      name = term;
    }
  }
  if (!name && better.step_time == other.step_time)
    return "no term differs: the first in the order of the axes is named";
  if (!name) return "no term of the best is smaller: they differ in batch or GPUs";
  return "the best spends " + HumanTime(Seconds(most)) + " less on " + name;
}

std::string SweepJson(const study::Space& space, const SweepAnswer& answer, const std::string& command) {
  const study::SweepResult& r = answer.result;
  ordered_json best = ordered_json::array(), pareto = ordered_json::array(), results = ordered_json::array();
  std::vector<std::int64_t> listed;
  for (const study::Confirmed& c : answer.best) {
    best.push_back(ConfirmedJson(space, c));
    results.push_back(ConfigurationJson(space, c.candidate));
    listed.push_back(c.candidate.index);
  }
  for (const Candidate& c : r.pareto) {
    pareto.push_back(ConfigurationJson(space, c));
    if (std::find(listed.begin(), listed.end(), c.index) == listed.end()) results.push_back(pareto.back());
  }
  ordered_json warnings = ordered_json::array();
  if (answer.pruned_search)
    warnings.push_back(
        "configurations that cannot be best were left out, so there is no Pareto front; --exhaustive prices all");
  if (best.empty()) warnings.push_back("no configuration is legal and fits");
  for (const std::string& note : NotesOf(space)) warnings.push_back(note);
  const ordered_json document = {
      {"schema_version", 1},
      {"kind", "sweep"},
      {"scenario",
       {{"file", space.file},
        {"question", space.question},
        {"model", space.bases.front().model.name},
        {"gpu", space.bases.front().cluster.node.gpu.name},
        {"gpus", space.bases.front().cluster.Gpus()}}},
      {"objective", study::ObjectiveNames()[static_cast<std::size_t>(space.objective)]},
      {"combinations", r.combinations},
      {"legal", r.legal},
      {"pruned", r.pruned},
      {"priced", r.priced},
      {"out_of_memory", r.out_of_memory},
      {"elapsed_s", r.elapsed_s},
      {"configurations_per_s", r.elapsed_s > 0 ? static_cast<double>(r.priced) / r.elapsed_s : 0},
      {"jobs", answer.jobs},
      {"axes", AxisNames(space)},
      {"best", best},
      {"pareto", pareto},
      {"results", results},
      {"warnings", warnings},
      {"provenance", Provenance(command, {{"fidelity", "analytic"}})}};
  return Printed(document);
}

std::string SweepText(const study::Space& space, const SweepAnswer& answer) {
  const study::SweepResult& r = answer.result;
  std::ostringstream out;
  if (!space.question.empty()) out << space.question << "\n\n";
  out << "  " << Grouped(r.legal) << " legal configurations in " << HumanTime(Seconds(r.elapsed_s)) << ": "
      << Grouped(r.priced) << " priced, " << Grouped(r.pruned) << " left out because they cannot be best, "
      << Grouped(r.out_of_memory) << " of those priced do not fit\n\n";
  if (answer.best.empty()) {
    out << "No configuration is legal and fits.\n";
    return out.str();
  }
  const bool network = answer.best.front().network_step_time > 0;
  std::vector<Column> columns = {{"rank", ""},
                                 {"configuration", "configuration", "", Align::kLeft},
                                 {"step_time_s", "step", "s"},
                                 {"event_step_time_s", "event engine", "s"}};
  if (network) columns.push_back({"network_step_time_s", "network", "s"});
  columns.push_back({"memory", "memory", "GiB"});
  columns.push_back({"mfu", "MFU", "%"});
  Table table(columns);
  const auto asked = [](double seconds) { return seconds > 0 ? Cell(Number{seconds, 3}) : Cell(std::monostate{}); };
  std::int64_t rank = 0;
  for (const study::Confirmed& c : answer.best) {
    const Rates rates = RatesOf(c.candidate, study::ScenarioAt(space, c.candidate.index));
    std::vector<Cell> row = {++rank, Words(space, c.candidate), Number{c.candidate.estimate.step_time, 3},
                             asked(c.event_step_time)};
    if (network) row.push_back(asked(c.network_step_time));
    row.push_back(Number{c.candidate.estimate.memory / kGibi, 1});
    row.push_back(Number{100 * rates.mfu, 1});
    table.AddRow(row);
  }
  out << table.Text(110);
  Tell(space, answer, out);
  for (const std::string& note : NotesOf(space)) out << "note: " << note << '\n';
  if (!r.pareto.empty())
    out << "Pareto front of speed, memory and GPUs: " << r.pareto.size() << " configurations (--json lists them)\n";
  return out.str();
}

}  // namespace isochrone::cli
