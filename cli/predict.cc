#include <memory>

#include "cli/answer.h"
#include "cli/answering.h"
#include "cli/inference_answer.h"
#include "cli/inputs.h"
#include "cli/verb.h"
#include "plan/scenario.h"
#include "study/predict.h"

namespace isochrone::cli {
namespace {

struct Asked {
  std::string scenario, trace;
  std::size_t fidelity = static_cast<std::size_t>(study::Fidelity::kEvent), engine = 0;
  bool timeline = false;
  Answering how;
};

int Predict(const Asked& asked) {
  if (AsksAboutInference(asked.scenario)) {
    const InferenceAnswer answer = AnswerInference(asked.scenario);
    Give(
        asked.how, asked.scenario, [&] { return answer.json; }, [&] { return answer.text; });
    return kAnswered;
  }
  const plan::Scenario scenario = plan::ReadScenario(asked.scenario);
  const bool traced = !asked.trace.empty();
  const study::Prediction p =
      study::Predict(scenario, {.fidelity = static_cast<study::Fidelity>(asked.fidelity),
                                .timeline = asked.timeline || traced,
                                .engine = static_cast<sim::network::EngineChoice>(asked.engine)});
  const std::string command = "isochrone predict " + asked.scenario;
  const auto json = [&](bool timeline) { return PredictionJson(p, study::CostsOf(scenario), command, timeline); };
  if (traced)
    WriteFile(asked.trace, reports::RenderReport({{asked.scenario, json(true)}}, reports::Format::kChromeTrace));
  Give(
      asked.how, asked.scenario, [&] { return json(asked.timeline); }, [&] { return PredictionText(p); });
  return kAnswered;
}

}  // namespace

Verb PredictVerb() {
  return {.name = "predict",
          .summary = "how long one step takes, or one generation, what fits, where the time goes",
          .example = "isochrone predict scenarios/examples/gpt3_on_64_a100.json",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Choice(asked->fidelity, "--fidelity", study::FidelityNames(), "how closely to look");
            options.Choice(asked->engine, "--network-engine", {"max_min", "simgrid"},
                           "what plays the network fidelity: our solver, or SimGrid as a cross-check");
            DeclareAnswering(options, asked->how);
            options.Flag(asked->timeline, "--timeline", "with --json and --store: every task's start and end");
            options.Text(asked->trace, "--trace", "file to write the step's timeline to, for Perfetto");
            return [asked] { return Predict(*asked); };
          }};
}

}  // namespace isochrone::cli
