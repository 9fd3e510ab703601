#include "study/bars.h"

#include <catch2/catch.hpp>

#include <fstream>

#include "base/error.h"
#include "plan/scenario.h"

namespace isochrone::study {
namespace {

ScoredRow Row(const std::string& locus, int tensor, double predicted, const std::string& role = "held_out") {
  ScoredRow row;
  row.id = locus, row.family = "family", row.locus = locus, row.role = role, row.status = "scored";
  row.predicted_s = predicted, row.measured_s = 1;
  row.low_s = 0.95 * predicted, row.high_s = 1.05 * predicted;
  row.tensor = tensor;
  return row;
}

Score Rows() {
  Score score;
  score.rows = {Row("Table 1", 8, 1.02), Row("Table 1", 16, 1.10), Row("Table 2", 8, 1.30),
                Row("Table 1", 8, 3, "fit")};
  return score;
}

BarResult Result(const Bar& bar) { return Judge({bar}, Rows()).front(); }

TEST_CASE("a bar is judged by the held-out rows that it names", "[bars]") {
  Bar bar;
  bar.name = "all", bar.family = "family";
  bar.mean = 0.15;
  CHECK(Result(bar).rows == 3);
  CHECK(Result(bar).mean == Approx(0.14));
  CHECK(Result(bar).reached);
  bar.locus = "Table 1";
  bar.most_tensor = 8;
  CHECK(Result(bar).rows == 1);
  CHECK(Result(bar).mean == Approx(0.02));
  bar.family = "another";
  CHECK(Result(bar).rows == 0);
  CHECK(!Result(bar).reached);
}

TEST_CASE("mean, worst and coverage must all hold", "[bars]") {
  Bar bar;
  bar.name = "all", bar.family = "family";
  bar.mean = 0.15;
  bar.worst = 0.25;
  CHECK(!Result(bar).reached);
  bar.worst = 0.31;
  CHECK(Result(bar).reached);
  bar.coverage_least = 0.5, bar.coverage_most = 0.9;
  CHECK(Result(bar).coverage == Approx(1.0 / 3));
  CHECK(!Result(bar).reached);
  bar.coverage_least = 0.3;
  CHECK(Result(bar).reached);
}

TEST_CASE("the committed bars are read, and the catalogue reaches its own", "[bars]") {
  const std::string folder = plan::CatalogueFolder() + "/bars/";
  CHECK(ReadBars(folder + "families.json").size() > 20);
  const Score score = ScoreRows(PublishedRows(), nullptr);
  for (const BarResult& r : Judge(ReadBars(folder + "catalogue.json"), score)) {
    INFO(r.bar.name);
    CHECK(r.rows > 0);
    CHECK(r.reached);
  }
}

}  // namespace
}  // namespace isochrone::study
