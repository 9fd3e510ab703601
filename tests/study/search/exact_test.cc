#include <catch2/catch.hpp>

#include <array>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"
#include "plan/build.h"
#include "plan/scenario.h"
#include "plan/schedule.h"
#include "study/search/legal.h"
#include "study/search/result_file.h"
#include "study/search/sweep.h"
#include "study/terms/estimate.h"
#include "tests/study/search/random_space.h"
#include "tests/study/search/space_file.h"

namespace isochrone::study {
namespace {

/// `most` of a space's configurations by chance, each equally likely.
std::vector<Candidate> SomeOf(const Space& space, std::size_t most, std::mt19937& random) {
  std::vector<Candidate> some;
  std::size_t seen = 0;
  SweepOptions options;
  options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
    for (const Candidate& c : rows) {
      ++seen;
      if (some.size() < most) some.push_back(c);
      else if (const std::size_t at = random() % seen; at < most) some[at] = c;
    }
  };
  Sweep(space, options);
  return some;
}

std::string Words(const Space& space, std::int64_t index) {
  std::string words = space.bases[0].model.name;
  for (const auto& [key, value] : VariedOf(space, index)) words += ", " + key + " " + value;
  return words;
}

/// Compares what a sweep remembers with what is built from nothing.
void CompareWithPlain(int scenarios, unsigned seed) {
  const SpaceFile file;
  std::mt19937 random(seed);
  for (int compared = 0; compared < scenarios;) {
    const Space space = file.Read(RandomSweep(random, 9, 4) + "}");
    for (const Candidate& c : SomeOf(space, 400, random)) {
      const plan::Scenario s = ScenarioAt(space, c.index);
      plan::Check(s);
      const Estimate e = EstimateOf(s).estimate;
      INFO(Words(space, c.index));
      REQUIRE(e.step_time == c.estimate.step_time);
      REQUIRE(e.memory == c.estimate.memory);
      REQUIRE(e.data == c.estimate.data);
      if (++compared == scenarios) return;
    }
  }
}

void ComparePrunedWithWhole(int spaces, unsigned seed) {
  const SpaceFile file;
  std::mt19937 random(seed);
  int with_best = 0;
  for (int i = 0; i < spaces; ++i) {
    const std::string wanted = R"(, "sweep": {"best": )" + std::to_string(1 + random() % 4) + R"(, "objective": ")" +
                               ObjectiveNames()[random() % ObjectiveNames().size()] +
                               R"(", "tokens": 3e11, "gpu_hour_usd": 2}})";
    const Space space = file.Read(RandomSweep(random, 4, 2) + wanted);
    SweepOptions options;
    const SweepResult whole = Sweep(space, options);
    options.prune = true;
    options.jobs = 1 + i % 2;
    const SweepResult pruned = Sweep(space, options);
    REQUIRE(whole.legal == pruned.legal);
    REQUIRE(pruned.priced + pruned.pruned == pruned.legal);
    REQUIRE(whole.best.size() == pruned.best.size());
    for (std::size_t k = 0; k < whole.best.size(); ++k) {
      INFO(Words(space, whole.best[k].index));
      REQUIRE(whole.best[k].index == pruned.best[k].index);
      REQUIRE(whole.best[k].score == pruned.best[k].score);
    }
    with_best += !whole.best.empty();
  }
  CHECK(with_best > spaces / 2);
}

using Price = std::array<double, 5>;
Price PriceOf(const Estimate& e) { return {e.step_time, e.memory, e.bubble, e.messages, e.around}; }

bool Legal(const Space& space, plan::Scenario& s) {
  if (!Complete(space, s) || !LegalBlock(s) || !LegalLayout(space, s) || !LegalPipeline(s) || !LegalStep(s))
    return false;
  try {
    plan::Check(s);
    plan::BuildSchedule(ScheduleShapeOf(s));
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// No two configurations of a space may be one plan that is priced alike, and what is passed over though it is legal
/// has the price of one that is not. (Frameworks have their names and at times the same constants: they stay apart.)
void CountPlansOnce(int spaces, unsigned seed) {
  const SpaceFile file;
  std::mt19937 random(seed);
  std::size_t alike = 0, passed_over = 0;
  for (int i = 0; i < spaces; ++i) {
    const Space space = file.Read(RandomSweep(random, 5, 2) + "}");
    std::map<Price, std::vector<std::int64_t>> by_price;
    std::set<std::int64_t> priced;
    SweepOptions options;
    options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
      for (const Candidate& c : rows) by_price[PriceOf(c.estimate)].push_back(c.index), priced.insert(c.index);
    };
    Sweep(space, options);
    for (const auto& [price, indices] : by_price) {
      std::vector<std::pair<std::string, plan::Plan>> plans;
      for (std::size_t k = 0; k < indices.size() && k < 4; ++k) {
        const plan::Scenario s = ScenarioAt(space, indices[k]);
        plans.emplace_back(s.strategy.framework, plan::BuildPlan(s));
        alike += k > 0;
        for (std::size_t other = 0; other < k; ++other) {
          INFO(Words(space, indices[other]));
          INFO(Words(space, indices[k]));
          CHECK_FALSE(plans[other] == plans[k]);
        }
      }
    }
    for (int k = 0; k < 40; ++k) {
      const auto index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(SizeOf(space.axes[0])));
      plan::Scenario s = space.bases[0];
      SetAxes(space.axes[0], 0, space.axes[0].size(), index, s);
      if (priced.count(index) || !Legal(space, s)) continue;
      // With one replica a plan has no side tasks, not even for experts that others hold too: that is no choice.
      if (s.strategy.overlap_data && s.strategy.data * s.strategy.context == 1 && s.model.moe) continue;
      ++passed_over;
      INFO(Words(space, index));
      CHECK(by_price.count(PriceOf(EstimateOf(s).estimate)) == 1);
    }
  }
  CHECK(alike > 0);  // configurations with equal prices were compared
  CHECK(passed_over > 0);
}

}  // namespace

TEST_CASE("a plan is counted once, whatever keys say that have no effect on it", "[search]") { CountPlansOnce(40, 5); }
TEST_CASE("a plan is counted once, in a thousand spaces", "[.slow]") { CountPlansOnce(1'000, 6); }

TEST_CASE("a sweep's numbers are those of its scenarios asked alone, bit for bit, over keys of every kind",
          "[search]") {
  CompareWithPlain(800, 1);
}
TEST_CASE("ten thousand of a sweep's numbers are those of its scenarios asked alone, bit for bit", "[.slow]") {
  CompareWithPlain(10'000, 2);
}
TEST_CASE("what a search leaves out is never among the best, in spaces of every kind", "[search]") {
  ComparePrunedWithWhole(40, 3);
}
TEST_CASE("what a search leaves out is never among the best, in a thousand spaces", "[.slow]") {
  ComparePrunedWithWhole(1'000, 4);
}

TEST_CASE("counts of a schedule are those of one with fewer microbatches", "[search]") {
  for (int kind = 0; kind < static_cast<int>(plan::ScheduleKind::kZbAuto1p); ++kind) {
    for (const auto& [ranks, chunks] : {std::pair{2, 2}, {3, 1}, {4, 3}, {5, 2}, {8, 2}}) {
      for (int microbatches = 1; microbatches <= 7 * ranks; ++microbatches) {
        const plan::ScheduleShape shape{static_cast<plan::ScheduleKind>(kind), ranks, chunks, microbatches};
        plan::Schedule schedule;
        try {
          schedule = plan::BuildSchedule(shape);
        } catch (const Error&) {
          continue;
        }
        const InFlight counted = CountInFlight(schedule), small = InFlightOf(shape);
        INFO(plan::NameOf(shape.kind) << " " << ranks << " ranks, " << chunks << " chunks, " << microbatches);
        CHECK(counted.first == small.first);
        CHECK(counted.whole.size() == small.whole.size());
        const double whole = std::accumulate(counted.whole.begin(), counted.whole.end(), 0.0);
        const double rest = std::accumulate(counted.rest.begin(), counted.rest.end(), 0.0);
        CHECK(whole == std::accumulate(small.whole.begin(), small.whole.end(), 0.0));
        CHECK(rest == std::accumulate(small.rest.begin(), small.rest.end(), 0.0));
      }
    }
  }
}

}  // namespace isochrone::study
