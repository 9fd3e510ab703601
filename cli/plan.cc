#include <cstdio>
#include <memory>

#include "base/terminal.h"
#include "cli/verb.h"
#include "plan/draw.h"
#include "plan/plan_text.h"
#include "study/predict.h"

namespace isochrone::cli {

Verb PlanVerb() {
  return {.name = "plan",
          .summary = "the plan in text form, or its schedule drawn",
          .example = "isochrone plan scenarios/examples/gpt3_on_64_a100.json --schedule",
          .declare = [](Options& options) {
            struct Asked {
              std::string scenario;
              bool schedule = false, draw = false;
            };
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Flag(asked->schedule, "--schedule", "only the order of tasks");
            options.Flag(asked->draw, "--draw", "draw what each stage does over time");
            return [asked] {
              const plan::Scenario scenario = plan::ReadScenario(asked->scenario);
              const study::Prediction p = study::Predict(scenario, {.timeline = asked->draw});
              const std::string text = asked->draw       ? plan::Draw(p.result.timeline, TerminalOf(stdout))
                                       : asked->schedule ? plan::Print(p.plan.schedule)
                                                         : plan::Print(p.plan);
              std::fputs(text.c_str(), stdout);
              return kAnswered;
            };
          }};
}

}  // namespace isochrone::cli
