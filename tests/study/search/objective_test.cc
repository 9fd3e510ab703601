#include "study/search/objective.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "study/search/confirm.h"
#include "study/search/sweep.h"
#include "tests/study/search/space_file.h"

namespace isochrone::study {
namespace {

Space SpaceOf(const std::string& wanted, const std::string& node = R"("hardware/dgx_a100_80gb.json")") {
  static const SpaceFile file;
  return file.Read(R"({"model": "models/gpt_3.6b.json", "cluster": {"node": )" + node +
                   R"(, "nodes": 2}, "batch": {"sequences": 64, "microbatch": [1, 2]}, "strategy": {"tensor": [1, 2, 4],
                       "pipeline": [1, 2, 4], "schedule": ["1f1b", "zb_h1", "zb_v"], "recompute": ["none", "full"]},
                       "sweep": )" +
                   wanted + "}");
}

}  // namespace

TEST_CASE("costs, GPU-hours and days of a training follow from its step time", "[search]") {
  const Space space = SpaceOf(R"({"objective": "cost_per_token", "tokens": 2e9, "gpu_hour_usd": 3})");
  Candidate c;
  c.index = 0;
  c.sequences = 64;
  c.gpus = 16;
  const double tokens = 64.0 * static_cast<double>(space.bases[0].model.sequence), steps = 2e9 / tokens;
  const Training training = TrainingOf(space, c, 1.5);
  CHECK(training.steps == Approx(steps));
  CHECK(training.days == Approx(steps * 1.5 / 86400));
  CHECK(training.gpu_hours == Approx(steps * 1.5 * 16 / 3600));
  CHECK(training.usd == Approx(3 * training.gpu_hours));
  CHECK(UsdPerMillionTokens(space, c, 1.5) == Approx(training.usd / 2e9 * 1e6));
}

TEST_CASE("an objective's score is what its name says, for every configuration", "[search]") {
  const auto scores = [](const std::string& objective, auto expected) {
    const Space space = SpaceOf(R"({"objective": ")" + objective + R"(", "tokens": 5e10, "gpu_hour_usd": 2.5})");
    const SweepResult result = Sweep(space, {});
    REQUIRE(!result.best.empty());
    for (const Candidate& best : result.best)
      CHECK(best.score == Approx(expected(TrainingOf(space, best, best.estimate.step_time))).epsilon(1e-12));
  };
  scores("days", [](const Training& t) { return t.days; });
  scores("gpu_hours", [](const Training& t) { return t.gpu_hours; });
  scores("cost_per_token", [](const Training& t) { return t.usd / 5e10; });
}

TEST_CASE("GPUs of two prices are compared by what a token costs", "[search]") {
  const std::string nodes = R"(["hardware/dgx_a100_80gb.json", "hardware/dgx_h100.json"])";
  const auto cheapest = [&](const std::string& price_of_h100) {
    const Space space =
        SpaceOf(R"({"objective": "cost_per_token", "gpu_hour_usd": {"a100_sxm_80gb": 2, "h100_sxm_80gb": )" +
                    price_of_h100 + "}}",
                nodes);
    return space.bases[BaseOf(space, Sweep(space, {}).best.front().index)].cluster.node.gpu.name;
  };
  CHECK(cheapest("2") == "h100_sxm_80gb");
  CHECK(cheapest("20") == "a100_sxm_80gb");
}

TEST_CASE("an objective without its figure is refused, and the message says which", "[search]") {
  CHECK_THROWS_WITH(SpaceOf(R"({"objective": "days"})"),
                    Catch::EndsWith("/sweep\n  asks how long a training takes\n  give its tokens, say 300e9"));
  CHECK_THROWS_WITH(SpaceOf(R"({"objective": "cost_per_token"})"),
                    Catch::EndsWith("/sweep\n  asks for a cost\n  give gpu_hour_usd, the price of a GPU for an hour"));
  CHECK_THROWS_WITH(SpaceOf(R"({"objective": "cost_per_token", "gpu_hour_usd": {"h100_sxm_80gb": 2}})"),
                    Catch::EndsWith("has no price of a100_sxm_80gb\n  add it"));
}

TEST_CASE("the best is the one that the event engine plays fastest, whatever the closed form says", "[search]") {
  const Space space = SpaceOf(R"({"best": 6})");
  std::vector<Candidate> best = Sweep(space, {}).best;
  REQUIRE(best.size() == 6);
  std::vector<double> scores;
  for (const Candidate& c : best) scores.push_back(c.score);
  std::reverse(best.begin(), best.end());  // as if the closed form had them the wrong way round
  for (std::size_t i = 0; i < best.size(); ++i) best[i].score = scores[i];
  const std::vector<Confirmed> all = Confirm(space, best, 6, false);
  REQUIRE(all.size() == 6);
  for (const Confirmed& c : all) {
    CHECK(c.event_step_time > 0);
    CHECK(all.front().event_step_time <= c.event_step_time);
    CHECK(c.score == c.event_step_time);
  }
  CHECK(all.front().candidate.index != best.front().index);
}

TEST_CASE("confirming goes on while the closed form of the next promises more than was found", "[search]") {
  const Space space = SpaceOf(R"({"best": 6})");
  std::vector<Candidate> best = Sweep(space, {}).best;
  const auto played = [&] {
    const std::vector<Confirmed> all = Confirm(space, best, 1, false);
    return std::count_if(all.begin(), all.end(), [](const Confirmed& c) { return c.event_step_time > 0; });
  };
  for (std::size_t i = 1; i < best.size(); ++i) best[i].score = best[0].score * 2;
  CHECK(played() == 1);
  for (std::size_t i = 1; i < best.size(); ++i) best[i].score = best[0].score / 2;
  CHECK(played() == 6);
}

}  // namespace isochrone::study
