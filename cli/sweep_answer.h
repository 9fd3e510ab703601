#pragma once

#include <string>
#include <vector>

#include "study/search/confirm.h"
#include "study/search/space.h"
#include "study/search/sweep.h"

namespace isochrone::cli {

struct SweepAnswer {
  study::SweepResult result;
  std::vector<study::Confirmed> best;  // the first is the answer
  int jobs = 1;
  bool pruned_search = true;
};

std::string SweepJson(const study::Space& space, const SweepAnswer& answer, const std::string& command);
std::string SweepText(const study::Space& space, const SweepAnswer& answer);

/// One configuration as a JSON object.
std::string ConfigurationText(const study::Space& space, const study::Candidate& candidate);

/// Which term decides between two configurations: "bubble: 1.20 s less".
std::string WhyBetter(const study::Estimate& better, const study::Estimate& other);

}  // namespace isochrone::cli
