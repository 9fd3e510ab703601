#include "study/inference/serve.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "study/inference/packrat.h"
#include "study/inference/speculative.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

const char* kScenario = R"({"workload": "serve", "model": "models/llama3_8b.json",
  "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1}, "strategy": {"tensor": 1, "token_budget": 1024},
  "arrivals": {"rate_per_s": 2, "requests": 600, "seed": 3},
  "prompt": {"distribution": "exponential", "mean": 500, "most": 4000},
  "output": {"distribution": "fixed", "mean": 100},
  "scheduler": {"kind": "chunked", "sequences": 64},
  "objective": {"ttft_s": 1, "tpot_s": 0.05, "share": 0.9}})";

TEST_CASE("a serving question is answered: nobody is lost, and more users wait longer", "[study]") {
  const tests::Folder folder;
  const auto at = [&](const std::string& rate) {
    return Serve(ReadServing(
        folder.Write("s.json", tests::Replaced(kScenario, "\"rate_per_s\": 2", "\"rate_per_s\": " + rate))));
  };
  const ServeAnswer calm = at("2"), busy = at("12"), flooded = at("500");
  CHECK(calm.requests == 600);
  CHECK(calm.turned_away == 0);
  CHECK_FALSE(calm.overloaded);
  CHECK(calm.requests_per_s == Approx(2).epsilon(0.1));
  CHECK(calm.first_token.mean < busy.first_token.mean);
  CHECK(busy.utilisation > calm.utilisation);
  CHECK(flooded.overloaded);
  CHECK(flooded.warnings.front().find("overloaded") == 0);
  CHECK(flooded.requests_per_s < 50);
  CHECK(Keeps(calm, {1, 0.05, 0.9}));
  CHECK_FALSE(Keeps(flooded, {1, 0.05, 0.9}));
}

TEST_CASE("over time, watts add up to the energy, shares to the utilisation and requests to their waits", "[study]") {
  const tests::Folder folder;
  const std::string apart = tests::Replaced(kScenario, "\"sequences\": 64",
                                            "\"sequences\": 64, \"separated\": {\"prompt_replicas\": 1, "
                                            "\"decode_replicas\": 2, \"prompt_tensor\": 1, \"decode_tensor\": 1}");
  for (const std::string& text : {std::string(kScenario), apart}) {
    const ServeAnswer a = Serve(ReadServing(folder.Write("s.json", text)));
    double joules = 0, busy = 0, waited = 0, answered = 0;
    for (const ServingMoment& m : a.over_time) {
      const double seconds = m.end - m.start;
      joules += m.watts * seconds, busy += (m.prompt_share + m.decode_share) * seconds;
      waited += m.waiting * seconds, answered += m.answering * seconds;
      CHECK(m.prompt_share + m.decode_share <= 1 + 1e-9);
    }
    const double span = a.over_time.back().end, requests = static_cast<double>(a.requests);
    CHECK(joules == Approx(a.joules_per_output_token * a.output_tokens_per_s * span).epsilon(1e-9));
    CHECK(busy == Approx(a.utilisation * span).epsilon(1e-9));
    CHECK(waited == Approx(a.first_token.mean * requests).epsilon(1e-9));
    CHECK(waited + answered == Approx(a.latency.mean * requests).epsilon(1e-9));
  }
}

TEST_CASE("requests longer than the cache are turned away and counted, empty prompts are answered", "[study]") {
  const tests::Folder folder;
  folder.Write("t.csv", "arrival_s,prompt_tokens,output_tokens\n0,0,5\n0.5,900000,10\n1,100,0\n");
  const std::string text =
      tests::Replaced(kScenario, "\"rate_per_s\": 2, \"requests\": 600, \"seed\": 3", "\"trace\": \"t.csv\"");
  const ServeAnswer a = Serve(ReadServing(folder.Write("s.json", text)));
  CHECK(a.requests == 3);
  CHECK(a.turned_away == 1);
  CHECK(a.empty_prompts == 1);
  CHECK(a.warnings.size() == 2);
}

TEST_CASE("a damaged trace is refused with its line", "[study]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& text) {
    const std::string path = folder.Write("t.csv", text);
    return tests::Complaint(folder, [&] { ReadTrace(path, "t.csv"); });
  };
  const std::string head = "arrival_s,prompt_tokens,output_tokens\n";
  CHECK(complaint("a,b,c\n1,2,3\n").find("t.csv:1") != std::string::npos);
  CHECK(complaint(head + "0,1,2\n1,x,3\n").find("t.csv:3\n  prompt_tokens is \"x\"") != std::string::npos);
  CHECK(complaint(head + "0,1\n").find("has not three fields") != std::string::npos);
  CHECK(complaint(head + "2,1,1\n1,1,1\n").find("arrives before") != std::string::npos);
  CHECK(complaint(head + "0,1.5,1\n").find("whole number") != std::string::npos);
  CHECK(complaint(head + "-1,1,1\n").find("arrival_s is \"-1\"") != std::string::npos);
  CHECK(complaint(head).find("has no request") != std::string::npos);
}

TEST_CASE("the highest rate is found within one percent, with any number of threads", "[study]") {
  for (const int threads : {1, 2, 5}) {
    CHECK(HighestRate([](double rate) { return rate <= 37.3; }, threads) == Approx(37.3).epsilon(0.011));
    CHECK(HighestRate([](double rate) { return rate <= 0.02; }, threads) == Approx(0.02).epsilon(0.011));
  }
  CHECK(HighestRate([](double) { return false; }, 2) == 0);
}

TEST_CASE("a chain of drafts yields the geometric sum, a tree the sum of its paths", "[study]") {
  CHECK(ExpectedTokens(0.8, 4) == Approx(1 + 0.8 + 0.64 + 0.512 + 0.4096));
  CHECK(ExpectedTokens(1, 4) == 5);
  CHECK(ExpectedTokens(0, 4) == 1);
  CHECK(ExpectedTokensOfTree({-1, 0, 1, 2}, {0.8, 0.8, 0.8, 0.8}) == Approx(ExpectedTokens(0.8, 4)));
  CHECK(ExpectedTokensOfTree({-1, -1, 0}, {0.6, 0.3, 0.5}) == Approx(1 + 0.6 + 0.3 + 0.3));
}

TEST_CASE("drafts pay where a step is bound by the weights, not where it is bound by its rows", "[study]") {
  plan::StepCost cost;  // 10 ms for the weights, 0.1 ms a row beyond 100
  for (int i = 0; i < plan::CountCurve::kPoints; ++i) {
    const double rows = plan::CountCurve::CountAt(i);
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.01 + (rows > 128 ? 1e-4 * (rows - 128) : 0);
  }
  const Drafting drafting{.step = 1e-3, .drafted = 4};
  CHECK(SpeculativeTokenTime(cost, drafting, 0.8, 1, 0) == Approx((0.004 + 0.01) / ExpectedTokens(0.8, 4)));
  CHECK(BestDraft(cost, drafting, 0.8, 1, 0, 8) >= 4);
  CHECK(BestDraft(cost, drafting, 0.8, 1024, 0, 8) == 0);
  Drafting parallel = drafting;
  parallel.parallel = true;
  CHECK(SpeculativeTokenTime(cost, parallel, 0.8, 1, 0) < SpeculativeTokenTime(cost, drafting, 0.8, 1, 0));
}

TEST_CASE("Packrat's programme finds the best split, as trying all does", "[study]") {
  // One thread: 1 s an item; more threads speed up less and less.
  std::vector<Instance> profile;
  for (const int t : {1, 2, 4, 8})
    for (const int b : {1, 2, 4, 8, 16}) profile.push_back({t, b, b / std::pow(t, 0.6) + 0.3});
  const std::vector<Instance> best = BestInstances(profile, 8, 16);
  double latency = 0;
  int threads = 0, items = 0;
  for (const Instance& i : best) latency = std::max(latency, i.seconds), threads += i.threads, items += i.batch;
  CHECK(items == 16);
  CHECK(threads <= 8);
  CHECK(latency == Approx(2.3));           // eight instances of one thread and two items
  CHECK(latency < 16 / std::pow(8, 0.6));  // one instance with all threads
  CHECK(BestInstances({{4, 4, 1}}, 2, 4).empty());
}

}  // namespace
}  // namespace isochrone::study
