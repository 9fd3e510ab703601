// Peak memory against what PyTorch's allocator reported of whole training steps on B200.
#include <catch2/catch.hpp>

#include <cmath>

#include "study/predict.h"
#include "study/rows.h"
#include "tests/measured_rows.h"

using namespace isochrone;

TEST_CASE("the fullest GPU's memory is within 1% of what was reported, on average", "[memory_rows]") {
  const std::string file = tests::RowsFile();
  if (file.empty()) {
    WARN("skipped: shared/reference/training_rows.json is not beside the source tree");
    return;
  }
  int rows = 0;
  double sum = 0, bias = 0, worst = 0;
  for (const study::Row& row : study::ReadRows(file)) {
    if (row.family != "b200_megatron" || !row.memory || !row.scenario) continue;
    Bytes most;
    for (const plan::StageMemory& stage : study::Predict(*row.scenario).metrics.memory) most = Max(most, stage.Total());
    const double error = most / *row.memory - 1;
    INFO(row.id << ": " << most.value / kGibi << " GiB, reported " << row.memory->value / kGibi);
    CHECK(std::abs(error) < 0.05);
    ++rows;
    sum += std::abs(error);
    bias += error;
    worst = std::max(worst, std::abs(error));
  }
  REQUIRE(rows > 0);
  WARN(rows << " rows: mean " << 100 * sum / rows << "%, bias " << 100 * bias / rows << "%, worst " << 100 * worst
            << "%");
  CHECK(sum / rows <= 0.01);
}
