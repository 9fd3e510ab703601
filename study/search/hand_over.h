#pragma once

#include <string>
#include <vector>

#include "plan/scenario.h"

namespace isochrone::study {

/// A configuration in the words of a training framework, ready to paste, and what those words cannot say.
struct HandOver {
  std::string text;
  std::vector<std::string> missing;
};

/// Command-line arguments of Megatron-LM (core 0.8 and later).
HandOver ForMegatron(const plan::Scenario& scenario);
/// A DeepSpeed configuration (JSON).
HandOver ForDeepSpeed(const plan::Scenario& scenario);
/// A torchtitan job (TOML).
HandOver ForTorchtitan(const plan::Scenario& scenario);

const std::vector<std::string>& HandOverNames();  // "megatron", "deepspeed", "torchtitan"
HandOver HandOverTo(std::size_t which, const plan::Scenario& scenario);

}  // namespace isochrone::study
