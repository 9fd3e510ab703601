#include "cli/inference_answer.h"

#include <array>

#include "cli/generation_answer.h"
#include "cli/instances_answer.h"
#include "cli/piggyback_answer.h"
#include "cli/power_answer.h"
#include "cli/search_answer.h"
#include "cli/serving_answer.h"
#include "plan/inference/inference_scenario.h"
#include "plan/readers.h"
#include "study/inference/generate.h"
#include "study/inference/placement.h"
#include "study/inference/serve.h"

namespace isochrone::cli {
namespace {

/// What is asked, and what answers it: each takes the file and the command.
struct Workload {
  const char* name;
  InferenceAnswer (*answer)(const std::string& path, const std::string& command);
};

InferenceAnswer Generated(const std::string& path, const std::string& command) {
  const study::GenerationAnswer answer = study::Generate(plan::ReadGeneration(path));
  return {GenerationJson(answer, command), GenerationText(answer)};
}

InferenceAnswer Served(const std::string& path, const std::string& command) {
  const study::ServeScenario scenario = study::ReadServing(path);
  if (scenario.search) {
    const study::SearchAnswer answer = study::SearchPlans(scenario);
    return {PlanSearchJson(scenario, answer, command), PlanSearchText(scenario, answer)};
  }
  const study::ServeAnswer answer = study::Serve(scenario);
  return {ServingJson(scenario, answer, command), ServingText(scenario, answer)};
}

InferenceAnswer Powered(const std::string& path, const std::string& command) {
  const study::PowerScenario scenario = study::ReadPower(path);
  const study::PowerAnswer answer = study::FillRow(scenario);
  return {PowerJson(scenario, answer, command), PowerText(scenario, answer)};
}

InferenceAnswer Piggybacked(const std::string& path, const std::string& command) {
  const study::PiggybackScenario scenario = study::ReadPiggyback(path);
  const std::vector<study::PiggybackGain> gains = study::PiggybackGains(scenario);
  return {PiggybackJson(scenario, gains, command), PiggybackText(scenario, gains)};
}

constexpr std::array kWorkloads = {Workload{"generate", Generated}, Workload{"serve", Served},
                                   Workload{"power", Powered}, Workload{"piggyback", Piggybacked},
                                   Workload{"instances", AnswerInstances}};

}  // namespace

bool AsksAboutInference(const std::string& path) {
  return plan::AsksAboutInference(plan::ReadJson(plan::FindFile(path)));
}

InferenceAnswer AnswerInference(const std::string& path) {
  std::vector<std::string> names;
  for (const Workload& w : kWorkloads) names.emplace_back(w.name);
  const std::size_t which = plan::ReadJson(plan::FindFile(path)).At("workload").OneOf(names);
  return kWorkloads[which].answer(path, "isochrone predict " + path);
}

}  // namespace isochrone::cli
