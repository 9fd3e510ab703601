#include "study/inference/serve.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "study/inference/lengths.h"
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

TEST_CASE("power over time lies between idle and the limit, and adds up to the energy of the answer", "[study]") {
  const tests::Folder folder;
  const ServeAnswer a = Serve(ReadServing(folder.Write("s.json", kScenario)));
  REQUIRE_FALSE(a.over_time.empty());
  double sum = 0;
  for (const ServingMoment& m : a.over_time) {
    CHECK(m.watts >= 0.2 * 400 - 1e-6);
    CHECK(m.watts <= 400 + 1e-6);
    sum += m.watts * (m.end - m.start);
  }
  CHECK(sum == Approx(a.joules_per_output_token * 600 * 100));
}

TEST_CASE("a capped clock slows prompts and hardly tokens, and saves power", "[study]") {
  const tests::Folder folder;
  const ServeAnswer full = Serve(ReadServing(folder.Write("s.json", kScenario)));
  const ServeAnswer capped = Serve(ReadServing(
      folder.Write("c.json", tests::Replaced(kScenario, "\"tensor\": 1", "\"tensor\": 1, \"clock_mhz\": 1110"))));
  CHECK(capped.prompt_step > 1.1 * full.prompt_step);
  CHECK(capped.per_token.p50 < 1.05 * full.per_token.p50);
  CHECK(capped.joules_per_output_token < full.joules_per_output_token);
  CHECK(tests::Complaint(folder, [&] {
          ReadServing(folder.Write("s.json",
                                   tests::Replaced(kScenario, "\"tensor\": 1", "\"tensor\": 1, \"clock_mhz\": 1500")));
        }) == "s.json: /strategy/clock_mhz = 1500\n  is over the full clock of a100_sxm_80gb\n  give at most 1410");
}

TEST_CASE("prompts that cannot be laid out so, and searches that cannot be made, are refused with what would do",
          "[study]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& from, const std::string& to) {
    const std::string path = folder.Write("s.json", tests::Replaced(kScenario, from, to));
    return tests::Complaint(folder, [&] { ReadServing(path); });
  };
  CHECK(complaint("\"sequences\": 64", "\"prompts\": \"packed\"") ==
        "s.json: /scheduler/prompts = \"packed\"\n  lays out batches, and this scheduler's prompts come one by one\n"
        "  write \"flat\", or /scheduler/kind static or batch_dispatch");
  CHECK(complaint("\"objective\": {\"ttft_s\": 1, \"tpot_s\": 0.05, \"share\": 0.9}",
                  "\"search\": {\"tensor\": [1], \"pipeline\": [1], \"most_gpus\": 2}")
            .find("needs a promise to search under") != std::string::npos);
  CHECK(complaint("{\"distribution\": \"exponential\", \"mean\": 500, \"most\": 4000}",
                  "{\"distribution\": \"of_prompt\", \"ratio\": 1}")
            .find("is of answers") != std::string::npos);
}

TEST_CASE("Zipf lengths keep their range, and answers may follow their prompts", "[study]") {
  const tests::Folder folder;
  const std::string text = tests::Replaced(
      tests::Replaced(kScenario, "{\"distribution\": \"exponential\", \"mean\": 500, \"most\": 4000}",
                      "{\"distribution\": \"zipf\", \"exponent\": 0.4, \"least\": 1000, \"most\": 4000}"),
      "{\"distribution\": \"fixed\", \"mean\": 100}", "{\"distribution\": \"of_prompt\", \"ratio\": 0.1}");
  const ServeScenario s = ReadServing(folder.Write("s.json", text));
  double sum = 0;
  for (const sim::serving::Request& r : sim::serving::Poisson(1, 20000, s.prompt, s.output, 1)) {
    REQUIRE(r.prompt >= 1000);
    REQUIRE(r.prompt <= 4000);
    CHECK(std::abs(r.output - 0.1 * r.prompt) <= 0.5);
    sum += r.prompt;
  }
  // mean of a density x^-0.4: the ratio of the integrals of x^0.6 and x^-0.4
  const auto power = [](double e) { return (std::pow(4000, e) - std::pow(1000, e)) / e; };
  CHECK(sum / 20000 == Approx(power(1.6) / power(0.6)).epsilon(0.01));
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

}  // namespace
}  // namespace isochrone::study
