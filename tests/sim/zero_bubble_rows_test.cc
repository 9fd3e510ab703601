// Published bubble rates from published pass times: no cost model between them, so they judge schedules and engine
// alone.
#include <catch2/catch.hpp>

#include "base/json.h"
#include "tests/measured_rows.h"
#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;

namespace {

/// Bytes that the weight half of a backward pass keeps over all bytes of an activation, without flash attention: 32 s b
/// h of 34 s b h + 5 a s² b. Qi et al., arXiv 2401.10241, section 2 (M_W and M_B).
double WeightShare(const Json& model) {
  const double hidden = model.At("hidden").Number(1, 1e9), heads = model.At("heads").Number(1, 1e9);
  return 32 * hidden / (34 * hidden + 5 * heads * model.At("seq").Number(1, 1e9));
}

/// Share of the longest rank's own span in which it does not work.
double BubbleRate(const Json& row) {
  const Json parallel = row.At("parallel"), profile = row.At("measured").At("stage_profile_ms");
  const int chunks = static_cast<int>(parallel.At("vpp").Int(1, 255));
  plan::ScheduleShape shape;
  shape.kind = static_cast<plan::ScheduleKind>(parallel.At("schedule").OneOf(plan::ScheduleNames()));
  shape.ranks = static_cast<int>(parallel.At("pp").Int(1, 1024));
  shape.chunks = chunks;
  shape.microbatches =
      static_cast<int>(parallel.At("global_batch").Int(1, 1 << 20) / parallel.At("microbatch").Int(1, 1 << 20));
  const auto stage = [&](const char* key) { return profile.At(key).Number(0, 1e6); };
  auto costs = Costs(stage("T_F") / chunks, stage("T_B") / chunks, stage("T_W") / chunks, stage("T_comm"));
  costs.weight_share = WeightShare(row.At("model"));
  const auto result = Uniform(PlanOf(plan::BuildSchedule(shape, costs)), costs);
  return 1 - shape.microbatches * (stage("T_F") + stage("T_B") + stage("T_W")) / SpanOf(result);
}

}  // namespace

TEST_CASE("published bubble rates follow from published pass times within one point", "[zero_bubble_rows]") {
  const std::string file = tests::RowsFile();
  if (file.empty()) {
    WARN("skipped: shared/reference/training_rows.json is not beside the source tree");
    return;
  }
  int rows = 0;
  double worst = 0;
  for (const Json& row : Json::File(file).Items()) {
    const Json measured = row.At("measured");
    if (row.At("family").String() != "zero_bubble" || !measured.Has("bubble_rate_from_profile")) continue;
    ++rows;
    const double printed = measured.At("bubble_rate_from_profile").Number(0, 1), ours = BubbleRate(row);
    INFO(row.At("id").String() << ": printed " << printed << ", ours " << ours);
    CHECK(std::abs(ours - printed) <= 0.01);
    worst = std::max(worst, std::abs(ours - printed));
  }
  CHECK(rows > 0);
  CAPTURE(rows, worst);
  CHECK(worst <= 0.0036);  // interleaved rows; the others agree in every printed digit
}
