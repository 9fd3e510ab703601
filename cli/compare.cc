#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/statistics.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/answer_parts.h"
#include "cli/answering.h"
#include "cli/compare_trace.h"
#include "cli/sample.h"
#include "cli/verb.h"
#include "executor/microbenchmark.h"
#include "executor/run.h"
#include "plan/build.h"
#include "plan/memory.h"
#include "plan/scenario.h"
#include "study/sampled_costs.h"

namespace isochrone::cli {
namespace {

using nlohmann::ordered_json;

struct Asked {
  std::vector<std::string> scenarios;
  std::string profile, trace, map;
  int steps = 4, turns = 15;
  std::size_t clock = 0;
  bool operations = false;
  Answering how;
};

/// One op: alone, and within the run.
struct OpLine {
  std::string program, name;
  plan::Phase phase;
  double count = 0, predicted = 0, measured = 0;  // seconds are each
  double Difference() const { return count * (measured - predicted); }
};

struct Line {
  std::string scenario;
  int ranks = 1;
  Seconds predicted, measured;
  Bytes predicted_memory, measured_memory;
  std::vector<OpLine> operations;  // largest difference first
  double Error() const { return predicted / measured - 1; }
  double MemoryError() const { return predicted_memory / measured_memory - 1; }
};

/// Of the fullest rank. Workspaces of a GPU's libraries are no part of a CPU rank.
Bytes Largest(std::vector<plan::StageMemory> memory) {
  Bytes most;
  for (plan::StageMemory& m : memory) {
    m.framework = Bytes(0);
    most = Max(most, m.Total());
  }
  return most;
}

constexpr double kLeastSeconds = 0.5;  // of steps: what slows a machine for a moment must not be all that is seen

executor::RunResult Measured(const plan::Scenario& scenario, const plan::Plan& plan, const Asked& asked) {
  executor::RunOptions options;
  options.steps = asked.steps;
  options.clock = static_cast<executor::ClockKind>(asked.clock);
  options.tokens = executor::RandomTokens(options.seed, scenario.model.vocabulary);
  return executor::Run<float>(scenario, plan, options);
}

double Median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return (v[(v.size() - 1) / 2] + v[v.size() / 2]) / 2;
}

/// `given` null: ops are measured now, in turns with the run, so that a machine which other work slows down is as slow
/// for both. Medians of the turns count.
Line Compare(const std::string& path, const plan::Samples* given, const Asked& asked) {
  const plan::Scenario scenario = plan::ReadScenario(path);
  const plan::Plan plan = plan::BuildPlan(scenario);
  std::map<std::string, std::vector<double>> sampled;
  std::vector<double> steps;
  std::optional<executor::RunResult> last;
  double measured = 0;
  for (int turn = 0; turn < asked.turns || measured < kLeastSeconds; ++turn) {
    if (!given) {
      plan::Samples now;
      executor::MeasureOps(scenario, plan, static_cast<executor::ClockKind>(asked.clock), now);
      for (const auto& [signature, sample] : now.by_signature) sampled[signature].push_back(sample.seconds);
    }
    last = Measured(scenario, plan, asked);
    const auto& seconds = last->step_seconds;
    steps.insert(steps.end(), seconds.begin() + (seconds.size() > 1 ? 1 : 0), seconds.end());
    measured += std::accumulate(seconds.begin(), seconds.end(), 0.0);
  }
  plan::Samples samples = given ? *given : plan::Samples{};
  for (const auto& [signature, seconds] : sampled) samples.by_signature[signature].seconds = Median(seconds);
  const executor::RunResult& run = *last;
  Line line{.scenario = path,
            .ranks = plan.layout.World(),
            .predicted = study::PredictFromSamples(scenario, plan, samples),
            .measured = Seconds(Median(steps)),
            .predicted_memory = Largest(plan::MemoryOf(scenario, plan)),
            .measured_memory = Largest(run.memory),
            .operations = {}};
  for (const executor::OpMeasurement& m : run.operations) {
    const plan::LayerProgram& program = plan.programs[static_cast<std::size_t>(m.program_index)];
    const plan::Op& op = program.Ops(m.phase)[static_cast<std::size_t>(m.index)];
    const double alone = samples.by_signature.at(plan::SignatureOf(plan.layout, m.phase, op)).seconds;
    line.operations.push_back({m.program, m.name, m.phase, m.count, alone, m.seconds});
  }
  std::sort(line.operations.begin(), line.operations.end(),
            [](const OpLine& a, const OpLine& b) { return std::abs(a.Difference()) > std::abs(b.Difference()); });
  return line;
}

struct Summary {
  double mean_error = 0, worst_error = 0, worst_memory_error = 0;
};
Summary SummaryOf(const std::vector<Line>& lines) {
  Summary s;
  for (const Line& l : lines) {
    s.mean_error += std::abs(l.Error()) / static_cast<double>(lines.size());
    s.worst_error = std::max(s.worst_error, std::abs(l.Error()));
    s.worst_memory_error = std::max(s.worst_memory_error, std::abs(l.MemoryError()));
  }
  return s;
}

void PrintText(const std::vector<Line>& lines, const Asked& asked, const plan::Samples& samples) {
  Table table({{"scenario", "scenario", "", Align::kLeft},
               {"ranks", "ranks", ""},
               {"predicted", "predicted", "ms"},
               {"measured", "measured", "ms"},
               {"error", "error", "%"},
               {"memory", "memory", "MiB"},
               {"memory_error", "error", "%"}});
  for (const Line& l : lines) {
    table.AddRow({l.scenario, static_cast<std::int64_t>(l.ranks), Number{1e3 * l.predicted.value, 2},
                  Number{1e3 * l.measured.value, 2}, Number{100 * l.Error(), 1},
                  Number{l.measured_memory.value / kMebi, 2}, Number{100 * l.MemoryError(), 1}});
  }
  std::fputs(table.Text().c_str(), stdout);
  const Summary s = SummaryOf(lines);
  std::printf("step time: mean error %s, worst %s; peak memory: worst %s\n", Percent(s.mean_error).c_str(),
              Percent(s.worst_error).c_str(), Percent(s.worst_memory_error).c_str());
  std::printf("measured on %s, %s clock; ops measured alone on %s\n", samples.machine.c_str(),
              executor::ClockNames()[asked.clock].c_str(), samples.date.c_str());
  if (!asked.operations) return;
  for (const Line& l : lines) {
    Table ops({{"op", "op of " + l.scenario, "", Align::kLeft},
               {"phase", "phase", "", Align::kLeft},
               {"count", "times", ""},
               {"alone", "alone", "us"},
               {"within", "in the run", "us"},
               {"difference", "difference", "us a step"}});
    for (const OpLine& o : l.operations) {
      ops.AddRow({o.program + " " + o.name, std::string(plan::NameOf(o.phase)), Number{o.count, 0},
                  Number{1e6 * o.predicted, 1}, Number{1e6 * o.measured, 1}, Number{1e6 * o.Difference(), 0}});
    }
    std::printf("\n%s", ops.Text().c_str());
  }
}

/// The scenarios as they were typed.
std::string Named(const std::vector<Line>& lines) {
  std::string names;
  for (const Line& l : lines) names += (names.empty() ? "" : " ") + l.scenario;
  return names;
}

std::string JsonText(const std::vector<Line>& lines, const Asked& asked, const plan::Samples& samples) {
  ordered_json rows = ordered_json::array();
  for (const Line& l : lines) {
    ordered_json ops = ordered_json::array();
    for (const OpLine& o : l.operations) {
      ops.push_back({{"program", o.program},
                     {"name", o.name},
                     {"phase", plan::NameOf(o.phase)},
                     {"count", o.count},
                     {"predicted_s", o.predicted},
                     {"measured_s", o.measured},
                     {"error_pct", 100 * (o.predicted / o.measured - 1)}});
    }
    rows.push_back({{"scenario", l.scenario},
                    {"ranks", l.ranks},
                    {"predicted_s", l.predicted.value},
                    {"measured_s", l.measured.value},
                    {"error_pct", 100 * l.Error()},
                    {"predicted_peak_bytes", l.predicted_memory.value},
                    {"measured_peak_bytes", l.measured_memory.value},
                    {"operations", ops}});
  }
  const Summary s = SummaryOf(lines);
  ordered_json answer = {{"schema_version", 1},
                         {"kind", "comparison"},
                         {"machine", samples.machine},
                         {"date", samples.date},
                         {"clock", executor::ClockNames()[asked.clock]},
                         {"mean_error_pct", 100 * s.mean_error},
                         {"worst_error_pct", 100 * s.worst_error},
                         {"worst_memory_error_pct", 100 * s.worst_memory_error},
                         {"rows", rows}};
  if (rows.size() == 1) {  // a report shows the ops of one scenario
    for (const char* key : {"predicted_s", "measured_s", "error_pct", "operations"}) answer[key] = rows[0][key];
    answer["scenario"] = ScenarioJson(plan::ReadScenario(lines.front().scenario));
  }
  answer["provenance"] = Provenance(
      "isochrone compare " + Named(lines),
      {{"machine", samples.machine}, {"clock", executor::ClockNames()[asked.clock]}, {"date", samples.date}});
  return Printed(answer);
}

int CompareAll(const Asked& asked) {
  if (asked.trace.empty() != asked.map.empty() || (!asked.trace.empty() && asked.scenarios.size() != 1))
    throw Error("compare", "takes --trace and --map together, with one scenario", "docs/traces.md has an example");
  if (!asked.trace.empty()) {
    CompareWithTrace(asked.scenarios.front(), asked.trace, asked.map, asked.how);
    return kAnswered;
  }
  const bool now = asked.profile.empty();
  const plan::Samples samples =
      now ? SampledOps({}, executor::ClockKind::kVirtual, "isochrone compare") : plan::ReadSamples(asked.profile);
  std::vector<Line> lines;
  for (const std::string& path : asked.scenarios) lines.push_back(Compare(path, now ? nullptr : &samples, asked));
  const auto json = [&] { return JsonText(lines, asked, samples); };
  Save(asked.how, Named(lines), json);
  if (asked.how.json) std::fputs(json().c_str(), stdout);
  else PrintText(lines, asked, samples);
  return kAnswered;
}

}  // namespace

Verb CompareVerb() {
  return {.name = "compare",
          .summary = "predicted against measured: a run on this machine, or what a profiler recorded elsewhere",
          .example = "isochrone compare scenarios/examples/byte_gpt_on_8_cpu_ranks.json",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positionals(asked->scenarios, "scenarios", "scenario files of precision fp32");
            options.Text(asked->profile, "--profile",
                         "ops measured by isochrone sample; absent: measured now, in turns with the run");
            options.Whole(asked->steps, "--steps", 1, 1'000'000, "training steps; the first is not measured");
            options.Whole(asked->turns, "--turns", 1, 1000, "of measuring ops and running, at least; medians count");
            options.Choice(asked->clock, "--clock", executor::ClockNames(), "as for run");
            options.Text(
                asked->trace, "--trace",
                "in place of a run here, what a profiler recorded: PyTorch's JSON, Nsight Systems' SQLite or a "
                "table of kernels, see docs/traces.md");
            options.Text(asked->map, "--map", "with --trace: the file that says which kernels are which ops");
            options.Flag(asked->operations, "--operations", "op by op too, worst first");
            DeclareAnswering(options, asked->how);
            return [asked] { return CompareAll(*asked); };
          }};
}

}  // namespace isochrone::cli
