// Ranks of several threads.
#include <catch2/catch.hpp>

#include <atomic>

#include "base/error.h"
#include "executor/workers.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

TEST_CASE("every item is worked on once, whatever the number of threads and items", "[executor]") {
  for (const int threads : {1, 2, 3, 5}) {
    Workers workers(threads);
    for (const Index n : {1, 2, 3, 7, 1000}) {
      for (const Index least : {1, 2, 400}) {
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
        std::atomic<int> parts = 0;
        workers.Split(n, least, [&](Index begin, Index end, int) {
          ++parts;
          for (Index i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
        });
        INFO(threads << " threads, " << n << " items, at least " << least);
        CHECK(parts == workers.PartsOf(n, least));
        CHECK(std::all_of(seen.begin(), seen.end(), [](const std::atomic<int>& s) { return s == 1; }));
      }
    }
  }
}

TEST_CASE("a rank of three threads learns what a rank of one does", "[executor]") {
  for (const bool llama : {false, true}) {
    plan::Scenario s = OneRank(Tiny());
    s.model.hidden = 192;  // enough rows and columns for threads to share
    s.model.heads = s.model.kv_heads = 4;
    s.model.head_dim = 48;
    s.model.ffn = 384;
    s.model.sequence = 96;
    s.batch = {.sequences = 4, .microbatch = 4};
    if (llama) MakeLlama(s.model);
    RunOptions options = TinyOptions(s);
    options.clock = ClockKind::kWall;
    const RunResult one = Run<double>(s, plan::BuildPlan(s), options);
    options.threads = 3;
    const RunResult three = Run<double>(s, plan::BuildPlan(s), options);
    REQUIRE(three.losses.size() == one.losses.size());
    for (std::size_t i = 0; i < one.losses.size(); ++i) CHECK(three.losses[i] == Approx(one.losses[i]).epsilon(1e-12));
    for (const auto& [key, values] : one.parameters) {
      INFO(key);
      CHECK(Distance(three.parameters.at(key), values, 1e-3) < 1e-10);
    }
  }
}

TEST_CASE("threads have no virtual time", "[executor]") {
  const plan::Scenario s = OneRank(Tiny());
  RunOptions options = TinyOptions(s);
  options.threads = 2;
  CHECK_THROWS_AS(Run<double>(s, plan::BuildPlan(s), options), Error);
}
