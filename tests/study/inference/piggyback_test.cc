#include "study/inference/piggyback.h"

#include <catch2/catch.hpp>

#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

TEST_CASE("a token that rides along costs its row and its cache; alone, its share of the weights", "[study]") {
  plan::StepCost cost;  // 20 ms for the weights up to 128 rows, then 0.1 ms a row; 1 us a cached token
  for (int i = 0; i < plan::CountCurve::kPoints; ++i) {
    const double rows = plan::CountCurve::CountAt(i);
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.02 + (rows > 128 ? 1e-4 * (rows - 128) : 0);
  }
  cost.per_cached = 1e-6;
  const PiggybackGain g = PiggybackGainOf(cost, 1000, 5, 256);
  CHECK(g.decode_ms == Approx((20 + 5) / 5.0));
  CHECK(g.carried_ms == Approx(0.1 + 1));
  CHECK(g.decode == Approx(5 / 1.1));
  CHECK(PiggybackGainOf(cost, 1000, 2, 256).decode > PiggybackGainOf(cost, 1000, 16, 256).decode);
  CHECK(g.total > 1);
}

TEST_CASE("batches that no chunk can carry are refused", "[study]") {
  const tests::Folder folder;
  const std::string path = folder.Write("s.json", R"({"workload": "piggyback", "model": "models/llama2_13b.json",
    "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1}, "strategy": {},
    "piggyback": {"length": 1024, "chunk": 256, "batches": [512]}})");
  CHECK(tests::Complaint(folder, [&] { ReadPiggyback(path); }).find("/piggyback/batches/0 = 512") != std::string::npos);
}

}  // namespace
}  // namespace isochrone::study
