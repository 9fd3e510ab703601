#pragma once

#include <string>

#include "cli/inference_answer.h"
#include "study/inference/instances.h"

namespace isochrone::cli {

/// The answer to a scenario with "workload": "instances", for people and for programs. `origin` says where the profile
/// comes from.
std::string InstancesText(const study::InstancesScenario& scenario, const study::InstancesAnswer& answer,
                          const std::string& origin);
std::string InstancesJson(const study::InstancesScenario& scenario, const study::InstancesAnswer& answer,
                          const std::string& origin, const std::string& command);

/// Predicts from the scenario's own profile.
InferenceAnswer AnswerInstances(const std::string& path, const std::string& command);

/// Measures the scenario's profile on this machine's CPU with the executor and answers from it. Each instance is a
/// tensor group of threads; a point's time is the forward pass of its batch. `profile`: a file to write the
/// measurements to, or "".
InferenceAnswer MeasureInstances(const std::string& path, std::size_t clock, const std::string& profile);

}  // namespace isochrone::cli
