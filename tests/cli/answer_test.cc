#include "cli/answer.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "plan/catalogue.h"
#include "plan/readers.h"

using namespace isochrone;

TEST_CASE("an answer says whether a plan fits, may not fit or does not fit", "[answer]") {
  plan::Scenario scenario = plan::ReadScenario(plan::CatalogueFolder() + "/examples/gpt3_on_64_a100.json");
  Bytes needed;
  for (const plan::StageMemory& stage : study::Predict(scenario).metrics.memory) needed = Max(needed, stage.Total());
  const auto says = [&](double spare_gib, const std::string& words) {
    scenario.cluster.node.gpu.memory = needed + Bytes(spare_gib * kGibi);
    const std::string text = cli::PredictionText(study::Predict(scenario));
    INFO(text);
    return text.find("\n" + words + ": stage ") != std::string::npos;
  };
  CHECK(says(2.5, "It fits"));
  CHECK(says(1.5, "It may not fit"));
  CHECK(says(-0.1, "It does not fit"));
}
