#include "cli/inference_answer.h"

#include <cstdio>

#include "cli/generation_answer.h"
#include "cli/serving_answer.h"
#include "cli/verb.h"
#include "plan/inference/inference_scenario.h"
#include "plan/readers.h"
#include "study/inference/generate.h"
#include "study/inference/serve.h"

namespace isochrone::cli {

bool AsksAboutInference(const std::string& path) {
  return plan::AsksAboutInference(plan::ReadJson(plan::FindFile(path)));
}

int AnswerInference(const std::string& path, bool json) {
  const std::string command = "isochrone predict " + path;
  std::string text;
  if (plan::ReadJson(plan::FindFile(path)).At("workload").OneOf({"generate", "serve"}) == 0) {
    const study::GenerationAnswer answer = study::Generate(plan::ReadGeneration(path));
    text = json ? GenerationJson(answer, command) : GenerationText(answer);
  } else {
    const study::ServeScenario scenario = study::ReadServing(path);
    const study::ServeAnswer answer = study::Serve(scenario);
    text = json ? ServingJson(scenario, answer, command) : ServingText(scenario, answer);
  }
  std::fputs(text.c_str(), stdout);
  return kAnswered;
}

}  // namespace isochrone::cli
