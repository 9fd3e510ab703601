#include "study/search/break_even.h"

#include <catch2/catch.hpp>

#include "tests/study/search/space_file.h"

namespace isochrone::study {
namespace {

const std::atomic<bool> kGoOn{false};

std::string TextOf(const std::string& node, const std::string& sequences, const std::string& model) {
  return R"({"model": )" + model + R"(, "cluster": {"node": )" + node + R"(, "nodes": 4}, "batch": {"sequences": )" +
         sequences +
         R"(, "microbatch": [1, 2, 4]}, "strategy": {"tensor": [1, 2, 4, 8], "pipeline": [1, 2, 4],
            "recompute": ["none", "full"], "optimizer_sharding": ["none", "zero1"]}})";
}

constexpr const char* kNode = R"("hardware/dgx_a100_80gb.json")";
constexpr const char* kModel = R"("models/gpt_3.6b.json")";

std::string ChoiceAt(const std::string& path, const std::string& key, double value) {
  return SearchEach(ReadSpaceAt(path, key, value), 1, kGoOn).front().Choice();
}

/// The points, after a look that each is one.
std::vector<BreakEven> PointsOf(const std::string& text) {
  const SpaceFile file;
  const Space space = file.Read(text);
  const BreakEvens found = BreakEvensOf(space, file.path, 1, kGoOn);
  const std::string key = space.base_keys.front();
  double last = found.least;
  std::string choice = ChoiceAt(file.path, key, found.least);
  for (const BreakEven& point : found.points) {
    INFO(key << " from " << point.below << " to " << point.above);
    CHECK(point.below >= last);
    CHECK(point.below < point.above);
    CHECK(point.best_below.Choice() == choice);
    CHECK(ChoiceAt(file.path, key, point.below) == point.best_below.Choice());
    CHECK(ChoiceAt(file.path, key, point.above) == point.best_above.Choice());
    CHECK(point.best_below.Choice() != point.best_above.Choice());
    last = point.above;
    choice = point.best_above.Choice();
  }
  CHECK(choice == ChoiceAt(file.path, key, found.most));
  return found.points;
}

}  // namespace

TEST_CASE("the bandwidth at which the best changes is found to half a percent", "[search]") {
  const std::string node = R"({"base": "hardware/dgx_a100_80gb.json", "nic_bandwidth_gbit_per_s": [1, 800]})";
  const auto points = PointsOf(TextOf(node, "64", kModel));
  REQUIRE(!points.empty());
  for (const BreakEven& point : points) CHECK(point.above - point.below <= 0.005 * point.above);
}

TEST_CASE("so is the memory", "[search]") {
  const std::string node =
      R"({"base": "hardware/dgx_a100_80gb.json", "gpu": {"base": "hardware/a100_sxm_80gb.json", "hbm_capacity_gib": [16, 80]}})";
  const auto points = PointsOf(TextOf(node, "64", kModel));
  REQUIRE(!points.empty());
  for (const BreakEven& point : points) CHECK(point.above - point.below <= 0.005 * point.above);
}

TEST_CASE("a batch and a sequence length change in steps of what divides the listed ones", "[search]") {
  const auto batch = PointsOf(TextOf(kNode, "[32, 512]", kModel));
  REQUIRE(!batch.empty());
  for (const BreakEven& point : batch) CHECK(point.above - point.below == 32);
  const auto sequence = PointsOf(TextOf(kNode, "64", R"({"base": "models/gpt_3.6b.json", "sequence": [2048, 16384]})"));
  REQUIRE(!sequence.empty());
  for (const BreakEven& point : sequence) CHECK(point.above - point.below == 2048);
}

TEST_CASE("a sweep that lists no figure, or two, has no break-even, and the message says what would", "[search]") {
  const SpaceFile file;
  const auto ask = [&](const std::string& text) { BreakEvensOf(file.Read(text), file.path, 1, kGoOn); };
  const std::string one =
      "does not list exactly one figure of model, cluster or batch\n"
      "  give one a list or a range, say batch/sequences, for --break-even";
  CHECK_THROWS_WITH(ask(TextOf(kNode, "64", kModel)), Catch::EndsWith(one));
  CHECK_THROWS_WITH(ask(TextOf(R"(["hardware/dgx_a100_80gb.json", "hardware/dgx_h100.json"])", "64", kModel)),
                    Catch::EndsWith("which is no number\n  list numbers for --break-even"));
}

}  // namespace isochrone::study
