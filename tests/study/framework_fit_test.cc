#include "study/framework_fit.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "study/predict.h"

namespace isochrone::study {
namespace {

/// Rows that a framework with these two constants would have measured, over shapes where each of them matters.
std::vector<Row> RowsOf(double kernel_time, double attention_time) {
  plan::Scenario scenario = plan::ReadScenario(plan::CatalogueFolder() + "/examples/llama3_8b_on_8_h100.json");
  scenario.strategy.framework = "other";
  std::vector<Row> rows;
  for (const std::int64_t sequence : {1024, 4096, 8192, 16384, 32768, 65536}) {
    scenario.model.sequence = sequence;
    PredictOptions options;
    options.framework = costmodel::FrameworkOf("other", scenario.cluster.node.gpu, false, plan::Sharding::kZero1);
    options.framework->kernel_time = kernel_time;
    options.framework->attention_time = attention_time;
    Row row;
    row.id = "s" + std::to_string(sequence);
    row.family = sequence > 10000 ? "long" : "short";
    row.priority = 2;
    row.scenario = scenario;
    row.step_time = Predict(scenario, options).metrics.step_time;
    rows.push_back(row);
  }
  return rows;
}

FrameworkFitRequest Request() {
  return {.framework = "other",
          .constants = {"kernel_time", "attention_time"},
          .clock_of = {},
          .families = {},
          .command = "command"};
}

TEST_CASE("constants that made the rows are found again", "[framework_fit]") {
  const FrameworkFit fit = FitFramework(RowsOf(1.2, 0.7), Request());
  CHECK(fit.profile.kernel_time == Approx(1.2).epsilon(1e-3));
  CHECK(fit.profile.attention_time == Approx(0.7).epsilon(1e-3));
  CHECK(fit.before > 0.05);
  CHECK(fit.after < 1e-3);
  CHECK(fit.left_out < 2e-3);
  CHECK(fit.profile.spread < 3e-3);
  CHECK(fit.profile.fitted_rows.size() == 6);
}

TEST_CASE("the clock of a GPU that made the rows is found again", "[framework_fit]") {
  FrameworkFitRequest request = Request();
  request.constants = {"attention_time"};
  request.clock_of = "h100_sxm_80gb";
  std::vector<Row> rows = RowsOf(1, 0.7);
  for (Row& row : rows) {
    PredictOptions options;
    options.framework = costmodel::FrameworkOf("other", row.scenario->cluster.node.gpu, false, plan::Sharding::kZero1);
    options.framework->attention_time = 0.7;
    options.framework->sustained_clock = 0.6;
    row.step_time = Predict(*row.scenario, options).metrics.step_time;
  }
  const FrameworkFit fit = FitFramework(rows, request);
  CHECK(fit.clock == Approx(0.6).epsilon(1e-3));
  CHECK(fit.profile.attention_time == Approx(0.7).epsilon(2e-3));
  request.clock_of = "b200_sxm_180gb";
  CHECK_THROWS_WITH(FitFramework(rows, request), Catch::Contains("GPU of no row"));
}

TEST_CASE("a row left out of the fit is further off than in it", "[framework_fit]") {
  std::vector<Row> rows = RowsOf(1.2, 0.7);
  rows[2].step_time = 1.3 * *rows[2].step_time;
  const FrameworkFit fit = FitFramework(rows, Request());
  CHECK(std::abs(fit.rows[2].left_out - 1) >= std::abs(fit.rows[2].after - 1));
  CHECK(fit.rows[2].left_out == Approx(1 / 1.3).epsilon(0.03));
  CHECK(fit.left_out > fit.after);
}

TEST_CASE("headline rows and other families are not fitted", "[framework_fit]") {
  std::vector<Row> rows = RowsOf(1.2, 0.7);
  FrameworkFitRequest request = Request();
  request.families = {"long"};
  CHECK_THROWS_AS(FitFramework(rows, request), Error);
  request.families.clear();
  rows[0].priority = 1;
  CHECK(FitFramework(rows, request).profile.fitted_rows.front() == rows[1].id);
}

TEST_CASE("with no constant only the spread follows, and the profile keeps its source", "[framework_fit]") {
  FrameworkFitRequest request = Request();
  request.constants.clear();
  const FrameworkFit fit = FitFramework(RowsOf(1.2, 1), request);
  CHECK(fit.profile.kernel_time == 1);
  CHECK(fit.profile.fitted_rows.empty());
  CHECK(fit.profile.spread > 0.1);
  CHECK(fit.coverage >= 0.8);
}

TEST_CASE("an unknown constant is named with those that there are", "[framework_fit]") {
  FrameworkFitRequest request = Request();
  request.constants = {"speed"};
  CHECK_THROWS_WITH(FitFramework(RowsOf(1, 1), request),
                    Catch::Contains("--constant speed") && Catch::Contains("kernel_time"));
}

}  // namespace
}  // namespace isochrone::study
