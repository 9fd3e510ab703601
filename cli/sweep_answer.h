#pragma once

#include <string>
#include <vector>

#include "study/search/space.h"
#include "study/search/sweep.h"

namespace isochrone::cli {

/// One of the best, looked at again: every term, and what the event engine says.
struct Confirmed {
  study::Candidate candidate;
  double event_step_time = 0;    // seconds; 0: not asked
  double network_step_time = 0;  // seconds; 0: not asked
};

struct SweepAnswer {
  study::SweepResult result;
  std::vector<Confirmed> best;
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
