#include "cli/inference_answer.h"

#include "cli/generation_answer.h"
#include "cli/serving_answer.h"
#include "plan/inference/inference_scenario.h"
#include "plan/readers.h"
#include "study/inference/generate.h"
#include "study/inference/serve.h"

namespace isochrone::cli {

bool AsksAboutInference(const std::string& path) {
  return plan::AsksAboutInference(plan::ReadJson(plan::FindFile(path)));
}

InferenceAnswer AnswerInference(const std::string& path) {
  const std::string command = "isochrone predict " + path;
  if (plan::ReadJson(plan::FindFile(path)).At("workload").OneOf({"generate", "serve"}) == 0) {
    const study::GenerationAnswer answer = study::Generate(plan::ReadGeneration(path));
    return {GenerationJson(answer, command), GenerationText(answer)};
  }
  const study::ServeScenario scenario = study::ReadServing(path);
  const study::ServeAnswer answer = study::Serve(scenario);
  return {ServingJson(scenario, answer, command), ServingText(scenario, answer)};
}

}  // namespace isochrone::cli
