#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/options.h"

namespace isochrone::cli {

/// Exit statuses of every verb. A bug of ours is 2, set where ISO_CHECK stops.
inline constexpr int kAnswered = 0, kWrongInput = 1, kOurBug = 2, kDiffers = 3;

/// One word of the command line. `declare` names the options and returns what runs once they are read.
struct Verb {
  const char* name;
  const char* summary;
  const char* example;  // a command that runs in a clean checkout
  std::function<std::function<int()>(Options&)> declare;
};

/// All verbs, in the order in which help lists them.
const std::vector<Verb>& Verbs();

/// Reads the command line, runs one verb, returns the exit status. The only place that catches Error.
int Main(int argc, const char* const* argv);

Verb PredictVerb();
Verb PlanVerb();
Verb ScoreVerb();
Verb ExplainVerb();
Verb SweepVerb();
Verb DemoVerb();
Verb ReportVerb();
Verb StoreVerb();
Verb CalibrateVerb();
Verb RunVerb();
Verb SampleVerb();
Verb CompareVerb();
Verb AdviseVerb();

}  // namespace isochrone::cli
