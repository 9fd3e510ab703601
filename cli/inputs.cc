#include "cli/inputs.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "cli/answer.h"
#include "cli/inference_answer.h"
#include "plan/scenario.h"
#include "study/predict.h"

namespace isochrone::cli {

namespace {

std::string ContentOf(const std::string& path) {
  if (std::filesystem::is_directory(path)) return "";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

reports::Input ReadInput(const std::string& path) {
  std::string text = ContentOf(path);  // of what is no file: empty, and reading it as a scenario says why
  if (reports::LooksLikeAnswer(text)) return {path, std::move(text)};
  if (AsksAboutInference(path)) return {path, AnswerInference(path).json};
  const plan::Scenario scenario = plan::ReadScenario(path);
  const study::Prediction prediction = study::Predict(scenario, {.timeline = true});
  return {path, PredictionJson(prediction, study::CostsOf(scenario), "isochrone predict " + path + " --json --timeline",
                               true)};
}

void WriteFile(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(part, path, failed);
  if (!file || failed) {
    const std::string why = failed ? failed.message() : std::strerror(errno);
    std::remove(part.c_str());
    throw Error(path, "cannot be written: " + why, "name a file in a folder that exists and may be written");
  }
}

}  // namespace isochrone::cli
