#include <catch2/catch.hpp>
#include <numeric>

#include "plan/catalogue.h"
#include "study/search/sweep.h"

namespace isochrone::study {
namespace {

/// CPU seconds of a search on one thread.
double SecondsOf(const char* sweep, bool prune) {
  SweepOptions options;
  options.prune = prune;
  options.jobs = 1;
  const SweepResult result = Sweep(ReadSpace(plan::CatalogueFolder() + "/sweeps/" + sweep), options);
  return std::accumulate(result.cpu_s.begin(), result.cpu_s.end(), 0.0);
}

}  // namespace

// Of one machine in one minute: what a layout costs once, which is most of a pruned search, against what every plan
// costs. The three take about 0.4, 0.2 and 0.6 of it.
TEST_CASE("pruned searches cost less than pricing every plan of 175B on 512 GPUs", "[search]") {
  const double every = SecondsOf("gpt3_175b_512.json", false);
  CHECK(SecondsOf("mtnlg_530b_5040.json", true) < 0.7 * every);
  CHECK(SecondsOf("mtnlg_530b_5128.json", true) < 0.6 * every);
  CHECK(SecondsOf("gpt3_175b_512.json", true) < every);
}

}  // namespace isochrone::study
