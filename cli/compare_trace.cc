#include "cli/compare_trace.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/nsight.h"
#include "plan/scenario.h"
#include "study/predict.h"
#include "study/traces/kernel_map.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kShown = 10;  // of what no group takes

void PrintOthers(const char* what, const std::vector<std::pair<std::string, double>>& list, double step) {
  if (list.empty()) return;
  Table table({{"name", what, "", Align::kLeft}, {"time", "time", "ms a step"}, {"share", "share", "%"}});
  double rest = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i >= kShown) rest += list[i].second;
    else table.AddRow({list[i].first, Number{1e3 * list[i].second, 3}, Number{100 * list[i].second / step, 1}});
  }
  if (list.size() > kShown) {
    table.AddRow(
        {"and " + std::to_string(list.size() - kShown) + " more", Number{1e3 * rest, 3}, Number{100 * rest / step, 1}});
  }
  std::printf("\n%s", table.Text().c_str());
}

void PrintText(const study::TraceComparison& c, double predicted) {
  Table table({{"group", "group", "", Align::kLeft},
               {"kernels", "kernels", "a step"},
               {"predicted", "predicted", "ms a step"},
               {"measured", "measured", "ms a step"},
               {"difference", "difference", "ms a step"},
               {"error", "error", "%"}});
  for (const study::GroupTimes& g : c.groups) {
    const double error = g.measured > 0 ? 100 * (g.predicted / g.measured - 1) : std::nan("");
    table.AddRow({g.name, Number{g.kernels, 1}, Number{1e3 * g.predicted, 3}, Number{1e3 * g.measured, 3},
                  Number{1e3 * g.Difference(), 3}, Number{error, 1}});
  }
  std::fputs(table.Text().c_str(), stdout);
  PrintOthers("kernels of no group", c.other_kernels, c.step_seconds);
  PrintOthers("ops of no group", c.other_operations, predicted);
  std::printf("\nstep: predicted %s, measured %s (median of %d), error %s\n", HumanTime(Seconds(predicted)).c_str(),
              HumanTime(Seconds(c.step_seconds)).c_str(), c.steps, Percent(predicted / c.step_seconds - 1).c_str());
}

ordered_json OperationJson(const std::string& name, double count, double predicted, double measured) {
  ordered_json one = {
      {"program", ""},          {"name", name},        {"phase", ""}, {"count", count}, {"predicted_s", predicted},
      {"measured_s", measured}, {"error_pct", nullptr}};
  if (measured > 0) one["error_pct"] = 100 * (predicted / measured - 1);
  return one;
}

std::string JsonText(const study::TraceComparison& c, const study::Prediction& p, const study::KernelTrace& trace,
                     const std::string& map) {
  const double predicted = p.metrics.step_time.value, error = 100 * (predicted / c.step_seconds - 1);
  ordered_json operations = ordered_json::array(), kernels = ordered_json::array(), others = ordered_json::array();
  for (const study::GroupTimes& g : c.groups) operations.push_back(OperationJson(g.name, 1, g.predicted, g.measured));
  for (const auto& [name, seconds] : c.other_kernels) kernels.push_back({{"name", name}, {"seconds", seconds}});
  for (const auto& [name, seconds] : c.other_operations) others.push_back({{"name", name}, {"seconds", seconds}});
  const ordered_json row = {{"scenario", p.scenario.file},
                            {"trace", trace.file},
                            {"ranks", p.plan.layout.World()},
                            {"steps", c.steps},
                            {"predicted_s", predicted},
                            {"measured_s", c.step_seconds},
                            {"error_pct", error},
                            {"operations", operations}};
  return Printed({{"schema_version", 1},
                  {"kind", "comparison"},
                  {"scenario", ScenarioJson(p.scenario)},
                  {"predicted_s", predicted},
                  {"measured_s", c.step_seconds},
                  {"error_pct", error},
                  {"operations", operations},
                  {"other_kernels", kernels},
                  {"other_operations", others},
                  {"rows", ordered_json::array({row})},
                  {"provenance",
                   Provenance("isochrone compare " + p.scenario.file + " --trace " + trace.file + " --map " + map)}});
}

}  // namespace

void CompareWithTrace(const std::string& scenario, const std::string& trace_path, const std::string& map_path,
                      const Answering& how) {
  const study::KernelMap map = study::ReadKernelMap(map_path);
  const study::KernelTrace trace = ReadKernelTrace(trace_path);
  const study::Prediction prediction = study::Predict(plan::ReadScenario(scenario));
  const study::TraceComparison c = study::CompareTrace(trace, map, study::OperationsOf(prediction));
  const auto json = [&] { return JsonText(c, prediction, trace, map_path); };
  Save(how, scenario, json);
  if (how.json) std::fputs(json().c_str(), stdout);
  else PrintText(c, prediction.metrics.step_time.value);
}

}  // namespace isochrone::cli
