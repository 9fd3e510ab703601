#pragma once

#include <string>

#include "plan/scenario.h"

namespace isochrone::executor {

/// Lets pass what ranks can train, on whichever device: what a plan prices but no kernel computes would run as
/// something else, or fail in the middle of a step.
///
/// who     begins what is wrong: "the CPU", "the CUDA executor"
/// Throws  Error naming the key, and what can be run in its place
void CheckSupported(const plan::Scenario& scenario, const std::string& who);

}  // namespace isochrone::executor
