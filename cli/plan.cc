#include <cstdio>
#include <memory>

#include "base/text.h"
#include "cli/verb.h"
#include "plan/draw.h"
#include "plan/plan_text.h"
#include "study/predict.h"

namespace isochrone::cli {

Verb PlanVerb() {
  return {.name = "plan",
          .summary = "the plan in text form, or its schedule drawn in the terminal",
          .example = "isochrone plan scenarios/examples/gpt3_on_64_a100.json --draw",
          .declare = [](Options& options) {
            struct Asked {
              std::string scenario;
              bool draw = false, schedule = false;
              int width = 0;
            };
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->scenario, "scenario", "a scenario file");
            options.Flag(asked->draw, "--draw", "draw what each stage does over time");
            options.Flag(asked->schedule, "--schedule", "only the order of tasks");
            options.Whole(asked->width, "--width", 20, 2000, "columns of the drawing; default: the terminal's");
            return [asked] {
              const plan::Scenario scenario = plan::ReadScenario(asked->scenario);
              const study::Prediction p = study::Predict(scenario, {.timeline = asked->draw});
              const std::string text = asked->draw       ? plan::Draw(p.plan, p.result.timeline, asked->width)
                                       : asked->schedule ? plan::Print(p.plan.schedule)
                                                         : plan::Print(p.plan);
              std::fputs(text.c_str(), stdout);
              return kAnswered;
            };
          }};
}

}  // namespace isochrone::cli
