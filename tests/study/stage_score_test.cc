#include "study/stage_score.h"

#include <catch2/catch.hpp>

#include "plan/catalogue.h"
#include "study/predict.h"
#include "study/terms/estimate.h"

using namespace isochrone;
using namespace isochrone::study;

TEST_CASE("a stage's passes are priced as the pipeline's are, and rows with one profile count once", "[score]") {
  Row row;
  row.id = "first";
  row.scenario = plan::ReadScenario("published/sc21_145.6b.json");
  row.stage = StageProfile{Seconds(1), Seconds(2), Seconds(3)};
  Row same = row, other = row, without = row;
  same.id = "same";
  other.stage->forward = Seconds(5);
  other.scenario->batch.microbatch *= 2;
  without.stage.reset();
  const std::vector<StageScore> scores = StagesOf({row, same, other, without});
  REQUIRE(scores.size() == 2);
  CHECK(scores[0].id == "first");
  const StageProfile &one = scores[0].priced, &two = scores[1].priced;
  // The last rank has the head beside its layers; the mean has an eighth of it.
  const ScenarioEstimate e = EstimateOf(*row.scenario);
  const double busiest = e.pipeline.ideal / row.scenario->Microbatches();
  const double mean = (one.forward + one.backward_input + one.backward_weight).value;
  CHECK(mean < busiest);
  CHECK(mean > 0.95 * busiest);
  CHECK(one.backward_input > one.forward);  // everything is recomputed
  // The host takes as long for a batch of two sequences as for one.
  const Seconds host = row.scenario->strategy.chunks_per_rank * CostsOf(*row.scenario).HostOfBatch();
  CHECK(host > Seconds(0));
  CHECK((two.forward - host) / (one.forward - host) == Approx(2).epsilon(0.03));
  CHECK(two.backward_weight / one.backward_weight == Approx(2).epsilon(0.1));
}
