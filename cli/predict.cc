#include <cstdio>
#include <memory>

#include "cli/answer.h"
#include "cli/verb.h"
#include "plan/scenario.h"
#include "study/predict.h"

namespace isochrone::cli {

Verb PredictVerb() {
  return {.name = "predict",
          .summary = "how long one step takes, what fits, where the time goes",
          .example = "isochrone predict scenarios/examples/gpt3_on_64_a100.json",
          .declare = [](Options& options) {
            struct Asked {
              std::string scenario;
              std::size_t fidelity = static_cast<std::size_t>(study::Fidelity::kEvent), engine = 0;
              bool json = false, timeline = false;
            };
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Choice(asked->fidelity, "--fidelity", study::FidelityNames(), "how closely to look");
            options.Choice(asked->engine, "--network-engine", {"max_min", "simgrid"},
                           "what plays the network fidelity: our solver, or SimGrid as a cross-check");
            options.Flag(asked->json, "--json", "print the answer as JSON");
            options.Flag(asked->timeline, "--timeline", "with --json: every task's start and end");
            return [asked] {
              const plan::Scenario scenario = plan::ReadScenario(asked->scenario);
              const study::Prediction p =
                  study::Predict(scenario, {.fidelity = static_cast<study::Fidelity>(asked->fidelity),
                                            .timeline = asked->timeline,
                                            .engine = static_cast<sim::network::EngineChoice>(asked->engine)});
              const std::string text = asked->json
                                           ? PredictionJson(p, study::CostsOf(scenario),
                                                            "isochrone predict " + asked->scenario, asked->timeline)
                                           : PredictionText(p);
              std::fputs(text.c_str(), stdout);
              return kAnswered;
            };
          }};
}

}  // namespace isochrone::cli
