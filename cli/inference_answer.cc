#include "cli/inference_answer.h"

#include <cstdio>

#include "cli/generation_answer.h"
#include "cli/verb.h"
#include "plan/inference/inference_scenario.h"
#include "plan/readers.h"
#include "study/inference/generate.h"

namespace isochrone::cli {

bool AsksAboutInference(const std::string& path) {
  return plan::AsksAboutInference(plan::ReadJson(plan::FindFile(path)));
}

int AnswerInference(const std::string& path, bool json) {
  const study::GenerationAnswer answer = study::Generate(plan::ReadGeneration(path));
  const std::string text = json ? GenerationJson(answer, "isochrone predict " + path) : GenerationText(answer);
  std::fputs(text.c_str(), stdout);
  return kAnswered;
}

}  // namespace isochrone::cli
