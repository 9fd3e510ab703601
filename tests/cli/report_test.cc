#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace isochrone::cli;
using nlohmann::json;

TEST_CASE("explain accounts for the whole step and writes each source once") {
  const Done all = Isochrone("explain " + kScenario);
  REQUIRE(all.status == 0);
  for (const char* part : {"where the time goes", "bubble of ", "pipeline message", "Sources:"})
    CHECK(all.out.find(part) != std::string::npos);
  const std::size_t first = all.out.find("  [1] ");
  REQUIRE(first != std::string::npos);
  const std::string source = all.out.substr(first + 6, 60);
  CHECK(all.out.find(source) == all.out.rfind(source));
  CHECK(all.out.find("the host, at the start of every forward pass") == std::string::npos);
  const Done own = Isochrone("explain scenarios/published/korthikanti_22b_full.json");
  CHECK(own.out.find("the host, at the start of every forward pass") != std::string::npos);
  CHECK(Isochrone("explain " + kScenario + " --op fc3").status == 1);
}

TEST_CASE("a scenario becomes every form of a report", "[report]") {
  const isochrone::tests::Folder folder;
  for (const char* name : {"a.md", "a.csv", "a.trace.json", "a.speedscope.json"}) {
    const Done done = Isochrone("report " + kScenario + " --out " + (folder / name));
    INFO(done.out);
    REQUIRE(done.status == 0);
    CHECK(done.out.empty());
    CHECK(ContentOf(folder / name).size() > 500);
  }
  const json trace = json::parse(ContentOf(folder / "a.trace.json"));
  CHECK(trace["traceEvents"].size() > 100);
}

TEST_CASE("a report has the step time that predict prints", "[report]") {
  const isochrone::tests::Folder folder;
  const json answer = json::parse(Isochrone("predict " + kScenario + " --json").out);
  std::ofstream(folder / "answer.json") << answer;
  REQUIRE(Isochrone("report " + (folder / "answer.json") + " --out " + (folder / "a.csv")).status == 0);
  const std::string csv = ContentOf(folder / "a.csv");
  const std::string row = "\r\nstep_time_s,";
  const std::size_t at = csv.find(row);
  REQUIRE(at != std::string::npos);
  CHECK(std::stod(csv.substr(at + row.size())) == answer["step_time_s"].get<double>());
}

TEST_CASE("a report takes what run and compare print", "[report]") {
  const isochrone::tests::Folder folder;
  const std::string scenario = "scenarios/examples/byte_gpt_on_8_cpu_ranks.json";
  const json run = json::parse(Isochrone("run " + scenario + " --json").out);
  const json compared = json::parse(Isochrone("compare " + scenario + " --json").out);
  CHECK(compared["operations"].size() > 10);
  CHECK(compared["measured_s"].get<double>() > 0);
  std::ofstream(folder / "run.json") << run;
  std::ofstream(folder / "compare.json") << compared;
  CHECK(Isochrone("report " + (folder / "run.json") + " " + (folder / "compare.json") + " --out " + (folder / "a.html"))
            .status == 0);
}

TEST_CASE("a report that cannot be written or read says what would do", "[report]") {
  CHECK(Isochrone("report " + kScenario + " --out a.pdf").status == 1);
  CHECK(Isochrone("report no_such.json").out.find("no_such.json") != std::string::npos);
  CHECK(Isochrone("report scenarios").out.find("is a directory") != std::string::npos);
  const Done done = Isochrone("report " + kScenario + " --out /no/such/folder/a.md");
  CHECK(done.status == 1);
  CHECK(done.out.find("cannot be written") != std::string::npos);
}

TEST_CASE("the store saves a prediction, lists it and finds that nothing moved", "[store]") {
  const isochrone::tests::Folder folder;
  const std::string store = " --store " + (folder / "answers.db");
  REQUIRE(Isochrone("store save " + kScenario + store).status == 0);
  REQUIRE(Isochrone("store save " + kScenario + store).status == 0);
  const Done list = Isochrone("store list" + store);
  CHECK(list.status == 0);
  CHECK(list.out.find("gpt3_on_64_a100.json") != std::string::npos);
  CHECK(Isochrone("store moved" + store).out == "no version changed an answer\n");
}

TEST_CASE("every verb that answers saves what it answers, whatever it prints", "[store]") {
  const isochrone::tests::Folder folder;
  const std::string store = " --store " + (folder / "answers.db");
  const std::string run = "scenarios/examples/byte_gpt_on_8_cpu_ranks.json";
  std::string last;
  for (const auto& [kind, words] : std::vector<std::pair<std::string, std::string>>{
           {"prediction", "predict " + kScenario},
           {"generation", "predict scenarios/inference/llama3_70b_generates_on_8_h100.json"},
           {"serving", "predict scenarios/inference/mistral_7b_chunked_on_a100.json"},
           {"sweep", "sweep scenarios/sweeps/gpt3_175b_512.json"},
           {"sweep", "sweep scenarios/sweeps/gpt3_175b_strong_scaling.json --each"},
           {"score", "score"},
           {"advise", "advise scenarios/examples/shapes/gpt3_2.7b_on_8_a100.json"},
           {"run", "run " + run + " --steps 2"},
           {"comparison", "compare " + run + " --steps 2 --turns 1"}}) {
    const Done done = Isochrone(words + store);
    INFO(done.out);
    REQUIRE(done.status == 0);
    const std::size_t at = done.out.find(" as ", done.out.find("saved in "));
    REQUIRE(at != std::string::npos);
    const json saved = json::parse(Isochrone("store show " + done.out.substr(at + 4, 12) + store).out);
    CHECK(saved["kind"] == kind);
    CHECK(saved["provenance"]["command"].get<std::string>().find(words.substr(0, words.find(' '))) !=
          std::string::npos);
    if (kind == "run") last = done.out.substr(at + 4, 12);
  }
  REQUIRE(Isochrone("compare " + run + " --steps 2 --turns 1 --parent " + last + store).status == 0);
  const std::string list = Isochrone("store list" + store).out;
  CHECK(list.find("run " + last) != std::string::npos);
  CHECK(list.find("profile ") != std::string::npos);
}

TEST_CASE("a report takes answers of the store by their hash", "[store]") {
  const isochrone::tests::Folder folder;
  const std::string store = " --store " + (folder / "answers.db");
  const std::string saved = Isochrone("predict " + kScenario + " --json" + store).out;
  const std::string hash = saved.substr(saved.find(" as ", saved.find("saved in ")) + 4, 12);
  const Done done = Isochrone("report " + hash + store + " --out " + (folder / "a.csv"));
  INFO(done.out);
  REQUIRE(done.status == 0);
  CHECK(ContentOf(folder / "a.csv").find("step_time_s,") != std::string::npos);
  CHECK(Isochrone("report ffffffffffff" + store).out.find("no saved object") != std::string::npos);
}

TEST_CASE("a parent without a store is refused", "[store]") {
  const Done done = Isochrone("predict " + kScenario + " --parent abc");
  CHECK(done.status == 1);
  CHECK(done.out == "error: --parent abc\n  needs a store to be in\n  add --store FILE\n");
}

TEST_CASE("the store names the commit that moved a prediction, and a run that became slower is worse", "[store]") {
  const isochrone::tests::Folder folder;
  const std::string store = " --store " + (folder / "answers.db");
  const auto save = [&](double step, const char* commit) {
    const json run = {
        {"kind", "run"}, {"step_time_s", step}, {"provenance", {{"version", "0.1.0"}, {"commit", commit}}}};
    std::ofstream(folder / "run.json") << run;
    REQUIRE(Isochrone("store save " + (folder / "run.json") + store).status == 0);
  };
  save(1.0, "aaaa");
  save(0.5, "bbbb");
  CHECK(Isochrone("store moved" + store).status == 0);
  save(0.75, "cccc");
  const Done moved = Isochrone("store moved" + store);
  CHECK(moved.status == 3);
  CHECK(moved.out.find("0.1.0 cccc") != std::string::npos);
  CHECK(moved.out.find("/step_time_s 0.5 -> 0.75") != std::string::npos);
}

TEST_CASE("an action that the store has not is answered with the nearest one", "[store]") {
  const Done done = Isochrone("store lst --store :memory:");
  CHECK(done.status == 1);
  CHECK(done.out == "error: isochrone store lst\n  is no action of the store\n  did you mean \"list\"?\n");
}

TEST_CASE("a timeline's critical path fills the step without a gap, and a gain is never more than the step",
          "[predict]") {
  const json answer = json::parse(Isochrone("predict " + kScenario + " --json --timeline").out);
  const json& path = answer["critical_path"];
  REQUIRE(path.size() > 8);
  double end = 0;
  for (const json& step : path) {
    CHECK(step["start_s"].get<double>() == Approx(end).margin(1e-9));
    end = step["start_s"].get<double>() + step["duration_s"].get<double>();
  }
  CHECK(end == Approx(answer["makespan_s"].get<double>()).epsilon(1e-9));
  REQUIRE(!answer["what_if"].empty());
  for (const json& gain : answer["what_if"]) CHECK(gain["gain_s"].get<double>() <= end);
}
