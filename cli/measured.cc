#include "cli/measured.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/timeline_json.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

ordered_json OperationsJson(const executor::RunResult& r) {
  ordered_json lines = ordered_json::array();
  for (const executor::OpMeasurement& op : r.operations) {
    lines.push_back({{"name", op.name},
                     {"program", op.program},
                     {"phase", plan::NameOf(op.phase)},
                     {"index", op.index},
                     {"count", op.count},
                     {"seconds", op.seconds},
                     {"share", op.count * op.seconds / r.metrics.step_time.value}});
  }
  return lines;
}

constexpr char kInterrupted[] = "the run was interrupted; what is here is of the steps that had ended";

const char* ClockNote(executor::ClockKind clock) {
  return clock == executor::ClockKind::kVirtual
             ? "virtual clock: ranks computed one at a time, so they did not contend for caches and memory"
             : "wall clock: ranks shared the machine's cores";
}

}  // namespace

std::string MeasuredJson(const plan::Scenario& scenario, const executor::RunResult& r, const std::string& command,
                         bool with_timeline) {
  const plan::Metrics& m = r.metrics;
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "run"},
                         {"fidelity", "run"},
                         {"clock", executor::ClockNames()[static_cast<std::size_t>(r.clock)]},
                         {"device", "cpu"},
                         {"scenario", ScenarioJson(scenario)},
                         {"losses", r.losses},
                         {"gradient_norms", r.gradient_norms},
                         {"step_times_s", r.step_seconds},
                         {"operations", OperationsJson(r)},
                         {"step_operations_s", r.step_seconds_by_op}};
  AddMetrics(m, answer);
  if (with_timeline) answer["timeline"] = TimelineJson(r.timeline);
  answer["warnings"] = {ClockNote(r.clock)};
  if (r.interrupted) answer["warnings"].push_back(kInterrupted);
  answer["provenance"] = Provenance(command);
  return Printed(answer);
}

std::string MeasuredText(const plan::Scenario& scenario, const executor::RunResult& r) {
  const plan::Metrics& m = r.metrics;
  std::ostringstream out;
  if (!scenario.question.empty()) out << scenario.question << "\n\n";
  out << "  " << HumanTime(m.step_time) << " a step, measured (median; " << HumanTime(m.low) << " to "
      << HumanTime(m.high) << " over " << r.step_seconds.size() << " steps)\n";
  out << "  " << Grouped(static_cast<std::int64_t>(m.tokens_per_s)) << " tokens/s, "
      << ThreeDigits(1000 * m.model_tflops_per_gpu) << " model GFLOP/s a rank, bubble " << Percent(m.bubble_over_total)
      << " of the step\n";
  out << "  loss " << ThreeDigits(r.losses.front()) << " at the first step, " << ThreeDigits(r.losses.back())
      << " at the last\n\n";

  out << TimeTable(m, 4).Text() << "\n";

  Table memory({{"rank", "rank", ""},
                {"parameters", "parameters", "MiB"},
                {"gradients", "gradients", "MiB"},
                {"optimizer", "optimizer", "MiB"},
                {"activations", "activations", "MiB"},
                {"workspace", "workspace", "MiB"},
                {"total", "total", "MiB"}});
  for (std::size_t rank = 0; rank < r.memory.size(); ++rank) {
    const plan::StageMemory& s = r.memory[rank];
    const auto mib = [](Bytes b) { return Number{b.value / kMebi, 2}; };
    memory.AddRow({static_cast<std::int64_t>(rank), mib(s.parameters), mib(s.gradients), mib(s.optimizer),
                   mib(s.activations), mib(s.workspace + s.communication), mib(s.Total())});
  }
  out << memory.Text() << "note: " << ClockNote(r.clock) << "\n";
  if (r.interrupted) out << "note: " << kInterrupted << "\n";
  return out.str();
}

}  // namespace isochrone::cli
