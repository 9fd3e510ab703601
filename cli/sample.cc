#include <cstdio>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "cli/sample.h"
#include "cli/today.h"
#include "cli/verb.h"
#include "executor/microbenchmark.h"
#include "kernels/gemm.h"
#include "plan/build.h"
#include "plan/scenario.h"

namespace isochrone::cli {
namespace {

std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

plan::Samples SampledOps(const std::vector<std::string>& scenarios, executor::ClockKind clock,
                         const std::string& command) {
  plan::Samples samples{.machine = Processor() + ", OpenBLAS kernels " + kernels::GemmCoreName(),
                        .date = Today(),
                        .command = command,
                        .by_signature = {}};
  for (const std::string& path : scenarios) {
    const plan::Scenario scenario = plan::ReadScenario(path);
    executor::MeasureOps(scenario, plan::BuildPlan(scenario), clock, samples);
  }
  return samples;
}

Verb SampleVerb() {
  return {
      .name = "sample",
      .summary = "measures on this machine, one by one, the ops that scenarios need",
      .example = "isochrone sample scenarios/examples/byte_gpt_on_8_cpu_ranks.json",
      .declare = [](Options& options) {
        struct Asked {
          std::vector<std::string> scenarios;
          std::size_t device = 0, clock = 0;
          std::string out;
        };
        auto asked = std::make_shared<Asked>();
        options.Positionals(asked->scenarios, "scenarios", "scenario files of precision fp32");
        options.Choice(asked->device, "--device", {"cpu"}, "what is measured");
        options.Choice(asked->clock, "--clock", executor::ClockNames(),
                       "virtual: ranks take turns, CPU time counts; wall: all ranks at once, the time of day counts");
        options.Text(asked->out, "--out", "where to write the profile; absent: print how many ops were measured");
        return [asked] {
          const plan::Samples samples = SampledOps(asked->scenarios, static_cast<executor::ClockKind>(asked->clock),
                                                   "isochrone sample --clock " + executor::ClockNames()[asked->clock] +
                                                       ", " + std::to_string(asked->scenarios.size()) + " scenarios");
          if (!asked->out.empty()) plan::WriteSamples(samples, asked->out);
          std::printf("%zu ops were measured on %s\n", samples.by_signature.size(), samples.machine.c_str());
          return kAnswered;
        };
      }};
}

}  // namespace isochrone::cli
