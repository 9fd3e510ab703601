#include "study/inference/placement.h"

#include <catch2/catch.hpp>

#include "study/inference/serving_run.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

const char* kScenario = R"({"workload": "serve", "model": "models/llama2_13b.json",
  "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1}, "strategy": {"tensor": 1, "token_budget": 2048},
  "arrivals": {"rate_per_s": 1, "requests": 300, "seed": 3},
  "prompt": {"distribution": "exponential", "mean": 700, "least": 10, "most": 2000},
  "output": {"distribution": "fixed", "mean": 150},
  "scheduler": {"kind": "paged", "sequences": 128, "fuses_prompts": false},
  "objective": {"ttft_s": 0.3, "tpot_s": 0.05, "share": 0.9},
  "search": {"tensor": [1, 2, 3], "pipeline": [1, 2], "most_gpus": 6}})";

ServeScenario Read(const tests::Folder& folder, const std::string& from, const std::string& to) {
  return ReadServing(folder.Write("s.json", tests::Replaced(kScenario, from, to)));
}

TEST_CASE("every plan has its rate, the best a GPU first, and one that cannot be says why", "[study]") {
  const tests::Folder folder;
  const ServeScenario s = Read(folder, "[1, 2, 3]", "[1, 2, 3]");
  const SearchAnswer a = SearchPlans(s);
  for (const auto* plans : {&a.joint, &a.prompt, &a.decode}) {
    REQUIRE(plans->size() == 6);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK((*plans)[i].refused.empty());
      CHECK((*plans)[i].rate > 0);
      if (i > 0) CHECK((*plans)[i].PerGpu() <= (*plans)[i - 1].PerGpu());
    }
    CHECK(plans->back().refused.find("must divide") != std::string::npos);  // 40 heads over 3
  }
  REQUIRE_FALSE(a.separated.empty());
  for (const PoolsRate& p : a.separated) {
    CHECK(p.Gpus() <= 6);
    // Replicas that share a queue wait less than each alone, but never by half.
    CHECK(p.rate < 1.5 * p.prompt_replicas * p.prompt.rate);
    CHECK(p.rate < 1.5 * p.decode_replicas * p.decode.rate);
  }
  CHECK(a.Gain() == Approx(a.separated.front().PerGpu() / a.joint.front().PerGpu()));
}

TEST_CASE("a plan that the search found keeps the promise when it is asked for by name, and a tenth more breaks it",
          "[study]") {
  const tests::Folder folder;
  ServeScenario s = Read(folder, "[1, 2, 3]", "[2]");
  s.search->pipeline = {1};
  const SearchAnswer a = SearchPlans(s);
  s.engine = WithDegrees(s.engine, 2, 1);
  s.search.reset();
  const auto keeps = [&](double rate) {
    s.rate = rate;
    return Keeps(Serve(s), *s.objective);
  };
  CHECK(keeps(a.joint.front().rate));
  CHECK_FALSE(keeps(1.1 * a.joint.front().rate));
}

TEST_CASE("a stricter promise on first tokens asks for more tensor ranks for prompts", "[study]") {
  const tests::Folder folder;
  ServeScenario loose = Read(folder, "\"ttft_s\": 0.3", "\"ttft_s\": 2"),
                strict = Read(folder, "\"ttft_s\": 0.3", "\"ttft_s\": 0.18");
  for (ServeScenario* s : {&loose, &strict}) s->search->tensor = {1, 2, 4}, s->search->pipeline = {1};
  CHECK(SearchPlans(loose).prompt.front().tensor == 1);
  CHECK(SearchPlans(strict).prompt.front().tensor > 1);
}

}  // namespace
}  // namespace isochrone::study
