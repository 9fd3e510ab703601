#include <cstdio>
#include <memory>

#include "cli/verb.h"
#include "plan/plan_text.h"
#include "study/predict.h"

namespace isochrone::cli {

Verb PlanVerb() {
  return {.name = "plan",
          .summary = "the plan in text form",
          .example = "isochrone plan scenarios/examples/gpt3_on_64_a100.json --schedule",
          .declare = [](Options& options) {
            struct Asked {
              std::string scenario;
              bool schedule = false;
            };
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Flag(asked->schedule, "--schedule", "only the order of tasks");
            return [asked] {
              const plan::Scenario scenario = plan::ReadScenario(asked->scenario);
              const study::Prediction p = study::Predict(scenario);
              const std::string text = asked->schedule ? plan::Print(p.plan.schedule) : plan::Print(p.plan);
              std::fputs(text.c_str(), stdout);
              return kAnswered;
            };
          }};
}

}  // namespace isochrone::cli
