#include "cli/answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

#include "base/json.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/network_answer.h"
#include "cli/timeline_json.h"
#include "plan/state_memory.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

ordered_json OperationsJson(const study::Prediction& p, const costmodel::Costs& costs) {
  ordered_json lines = ordered_json::array();
  for (const study::OperationLine& line : p.operations) {
    ordered_json one = {{"name", line.name},
                        {"program", line.program},
                        {"phase", plan::NameOf(line.phase)},
                        {"stream", plan::NameOf(line.op->stream)},
                        {"count", line.count},
                        {"seconds", line.seconds},
                        {"share", line.Total() / p.metrics.step_time.value}};
    std::string formula, inputs, source;
    bool measured = true;
    for (const costmodel::Term& term : costs.Explain(*line.op)) {
      formula += (formula.empty() ? "" : " + ") + term.formula;
      inputs += (inputs.empty() ? "" : "; ") + term.inputs;
      if (source.find(term.source.text) == std::string::npos) source += (source.empty() ? "" : "; ") + term.source.text;
      measured = measured && term.source.measured;
    }
    one["formula"] = formula;
    one["inputs"] = inputs;
    one["source"] = source;
    one["measured"] = measured;
    lines.push_back(std::move(one));
  }
  return lines;
}

}  // namespace

std::string PredictionJson(const study::Prediction& p, const costmodel::Costs& costs, const std::string& command,
                           bool with_timeline) {
  const plan::Metrics& m = p.metrics;
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "prediction"},
                         {"fidelity", study::FidelityNames()[static_cast<std::size_t>(p.fidelity)]},
                         {"scenario", ScenarioJson(p.scenario)}};
  AddMetrics(m, answer);
  answer["operations"] = OperationsJson(p, costs);
  if (p.scenario.published && p.scenario.published->step_time) {
    answer["published"] = {{"step_time_s", p.scenario.published->step_time->value},
                           {"source", p.scenario.published->source}};
  }
  if (p.network) {
    answer["network"] = NetworkJson(*p.network);
    answer["links"] = LinksJson(*p.network);
  }
  if (with_timeline) AddTimeline(p, answer);
  answer["warnings"] = m.warnings;
  answer["provenance"] = Provenance(command, {{"profile", ProfileNameOf(p.scenario)}});
  return Printed(answer);
}

std::string PredictionText(const study::Prediction& p) {
  const plan::Metrics& m = p.metrics;
  std::ostringstream out;
  if (!p.scenario.question.empty()) out << p.scenario.question << "\n\n";
  out << "  " << HumanTime(m.step_time) << " a step (80% of measured steps would lie within " << HumanTime(m.low)
      << " to " << HumanTime(m.high) << ")\n";
  if (p.scenario.published && p.scenario.published->step_time) {
    const double error = m.step_time / *p.scenario.published->step_time - 1;
    out << "  " << HumanTime(*p.scenario.published->step_time) << " was published; the prediction differs by "
        << Percent(error) << "\n";
  }
  out << "  " << Grouped(static_cast<std::int64_t>(m.tokens_per_s)) << " tokens/s, "
      << ThreeDigits(m.model_tflops_per_gpu) << " model TFLOP/s per GPU, MFU " << Percent(m.mfu) << ", HFU "
      << Percent(m.hfu) << "\n";
  out << "  bubble " << Percent(m.bubble_over_ideal) << " of ideal time, " << Percent(m.bubble_over_total)
      << " of the step\n\n";

  Table time = TimeTable(m, 3);
  time.AddRow({std::string("step"), Number{m.attribution.Sum().value, 3},
               Number{100 * (m.attribution.Sum() / m.step_time), 1}});
  out << time.Text() << "\n";

  if (p.network) out << NetworkText(*p.network);
  Table memory({{"stage", "stage", ""},
                {"parameters", "parameters", "GiB"},
                {"gradients", "gradients", "GiB"},
                {"optimizer", "optimizer", "GiB"},
                {"activations", "activations", "GiB"},
                {"workspace", "workspace", "GiB"},
                {"total", "total", "GiB"}});
  const plan::StageMemory* fullest = nullptr;
  for (const plan::StageMemory& s : m.memory) {
    if (!fullest || s.Total() > fullest->Total()) fullest = &s;
  }
  std::vector<const plan::StageMemory*> shown = {&m.memory.front(), fullest, &m.memory.back()};
  shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
  for (const plan::StageMemory* s : shown) {
    auto gib = [](Bytes b) { return Number{b.value / kGibi, 2}; };
    memory.AddRow({static_cast<std::int64_t>(s->stage), gib(s->parameters), gib(s->gradients), gib(s->optimizer),
                   gib(s->activations), gib(s->workspace + s->communication + s->framework), gib(s->Total())});
  }
  out << memory.Text();
  const bool fits = fullest->Total() <= m.memory_capacity,
             room = fullest->Total() <= plan::RoomForTensors(p.scenario.cluster.node.gpu);
  out << (room   ? "It fits: "
          : fits ? "It may not fit: "
                 : "It does not fit: ")
      << "stage " << fullest->stage << " needs " << HumanBytes(fullest->Total()) << " of "
      << HumanBytes(m.memory_capacity) << ".\n";
  for (const std::string& warning : m.warnings) out << "note: " << warning << "\n";
  if (!p.scenario.defaults.empty()) out << "defaults: " << JoinedWith(p.scenario.defaults, "and") << "\n";
  return out.str();
}

}  // namespace isochrone::cli
