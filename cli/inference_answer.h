#pragma once

#include <string>

namespace isochrone::cli {

/// True for a scenario file with a "workload": it asks about inference.
bool AsksAboutInference(const std::string& path);

struct InferenceAnswer {
  std::string json, text;
};

/// Reads such a file and answers it.
InferenceAnswer AnswerInference(const std::string& path);

}  // namespace isochrone::cli
