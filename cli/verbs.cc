#include "cli/verb.h"

namespace isochrone::cli {

const std::vector<Verb>& Verbs() {
  static const std::vector<Verb> verbs = {PredictVerb(), SweepVerb(),     RunVerb(),  SampleVerb(), CompareVerb(),
                                          AdviseVerb(),  ExplainVerb(),   PlanVerb(), ScoreVerb(),  ReportVerb(),
                                          StoreVerb(),   CalibrateVerb(), DemoVerb()};
  return verbs;
}

}  // namespace isochrone::cli
