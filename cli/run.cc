#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "cli/answering.h"
#include "cli/inference_answer.h"
#include "cli/instances_answer.h"
#include "cli/measured.h"
#include "cli/verb.h"
#include "costmodel/profile.h"
#include "executor/cuda/run.h"
#include "executor/mpi_world.h"
#include "executor/run.h"
#include "plan/build.h"
#include "plan/scenario.h"

namespace isochrone::cli {
namespace {

std::atomic<bool> interrupted = false;
void Interrupt(int) { interrupted = true; }

struct Asked {
  std::string scenario, text, profile;
  std::size_t clock = 0, device = 0;
  int steps = 3, seed = 1, threads = 1;
  double learning_rate = 1e-3, memory_limit_gib = 0, timeout_s = 30;
  bool timeline = false;
  Answering how;
};

executor::RunOptions OptionsOf(const Asked& asked, const plan::Scenario& scenario) {
  executor::RunOptions options;
  options.clock = static_cast<executor::ClockKind>(asked.clock);
  options.steps = asked.steps;
  options.threads = asked.threads;
  options.seed = static_cast<std::uint64_t>(asked.seed);
  options.adam.learning_rate = asked.learning_rate;
  options.memory_limit_bytes = asked.memory_limit_gib * kGibi;
  options.timeout_s = asked.timeout_s;
  options.interrupted = &interrupted;
  if (asked.text.empty()) {
    options.tokens = executor::RandomTokens(options.seed, scenario.model.vocabulary);
    return options;
  }
  if (scenario.model.vocabulary < 256) {
    throw Error("--text " + asked.text,
                "is read byte by byte, but the vocabulary has " + std::to_string(scenario.model.vocabulary) + " tokens",
                "use a model with a vocabulary of at least 256");
  }
  options.tokens = executor::TextTokens(options.seed, Json::FileText(asked.text, std::size_t{64} << 20, asked.text),
                                        scenario.model.sequence);
  return options;
}

/// On threads of this process or, under mpirun, with this process as one rank: then rank 0 alone has the answer.
std::optional<executor::RunResult> CarryOut(const plan::Scenario& scenario, const plan::Plan& plan,
                                            const executor::RunOptions& options, bool on_gpus) {
  if (on_gpus) return executor::cuda::RunOnGpus(scenario, plan, options);
  if (!executor::UnderMpi()) return executor::Run<float>(scenario, plan, options);
  std::signal(SIGTERM, Interrupt);  // what the launcher sends to all when one has died
  const executor::MpiSession session;
  try {
    return executor::RunAcrossProcesses<float>(session, scenario, plan, options);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    std::fflush(stderr);
    session.Abort();  // the others wait for this one
  }
}

/// A question of inference: only that about instances is carried out.
int RunInference(const Asked& asked) {
  if (asked.device == 1)
    throw Error("--device cuda", "does not run questions of inference",
                "leave it out: instances are threads of the CPU");
  const InferenceAnswer answer = MeasureInstances(asked.scenario, asked.clock, asked.profile);
  Give(
      asked.how, asked.scenario, [&] { return answer.json; }, [&] { return answer.text; });
  return kAnswered;
}

int RunScenario(const Asked& asked) {
  if (AsksAboutInference(asked.scenario)) return RunInference(asked);
  if (!asked.profile.empty())
    throw Error("--profile", "is of scenarios with \"workload\": \"instances\"", "leave it out");
  const plan::Scenario scenario = plan::ReadScenario(asked.scenario);
  const bool on_gpus = asked.device == 1;
  if (!on_gpus && scenario.strategy.precision != plan::Dtype::kFp32) {
    throw Error(scenario.file + ": /strategy/precision", "the CPU computes in fp32", "write \"fp32\"");
  }
  const plan::Plan plan = plan::BuildPlan(scenario);
  std::signal(SIGINT, Interrupt);
  std::optional<executor::RunResult> answer = CarryOut(scenario, plan, OptionsOf(asked, scenario), on_gpus);
  std::signal(SIGINT, SIG_DFL);
  if (!answer) return kAnswered;
  executor::RunResult& result = *answer;
  const FlopsPerSecond peak =
      costmodel::PeakRate(scenario.cluster.node.gpu, scenario.strategy.precision) * plan::LayoutOf(scenario).World();
  result.metrics.mfu = result.metrics.model_flops / result.metrics.step_time / peak;
  result.metrics.hfu = result.metrics.hardware_flops / result.metrics.step_time / peak;
  Give(
      asked.how, asked.scenario,
      [&] { return MeasuredJson(scenario, result, "isochrone run " + asked.scenario, asked.timeline); },
      [&] { return MeasuredText(scenario, result); });
  return kAnswered;
}

}  // namespace

Verb RunVerb() {
  return {.name = "run",
          .summary = "carries the plan out, rank by rank, and measures it",
          .example = "isochrone run scenarios/examples/byte_gpt_on_8_cpu_ranks.json --steps 3",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Choice(asked->device, "--device", {"cpu", "cuda"},
                           "what computes; cuda: one GPU for every rank, see docs/cuda.md");
            options.Choice(
                asked->clock, "--clock", executor::ClockNames(),
                "virtual: ranks take turns and CPU time counts; wall: each rank has a core, as under mpirun");
            options.Whole(asked->threads, "--threads", 1, 1024, "of each rank; several need --clock wall");
            options.Whole(asked->steps, "--steps", 1, 1'000'000, "training steps; the first is not measured");
            options.Whole(asked->seed, "--seed", 0, 1'000'000'000, "of weights, dropout and text");
            options.Text(asked->text, "--text", "a file to learn from, byte by byte; absent: random tokens");
            options.Number(asked->learning_rate, "--learning-rate", 0, 1, "of AdamW");
            options.Number(asked->memory_limit_gib, "--memory-limit-gib", 0, 1e6, "of one rank; 0: none");
            options.Number(asked->timeout_s, "--timeout-s", 0.01, 1e6, "ends a run in which no rank moves");
            options.Text(asked->profile, "--profile", "of instances: a file to write the measured times to");
            DeclareAnswering(options, asked->how);
            options.Flag(asked->timeline, "--timeline", "with --json and --store: every task's start and end");
            return [asked] { return RunScenario(*asked); };
          }};
}

}  // namespace isochrone::cli
