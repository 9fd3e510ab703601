#include "reports/trace.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "reports/report.h"

using nlohmann::json;
using namespace isochrone::reports;

namespace {

const char* kAnswer = R"({"kind": "prediction", "timeline": {
  "ranks": "pipeline", "rank_count": 2,
  "columns": ["rank", "stream", "kind", "phase", "chunk", "microbatch", "start_s", "duration_s"],
  "spans": [
    [0, "compute", "task", "forward", 0, 0, 0, 1],
    [0, "compute", "op", "gemm", 0, -1, 0.25, 0.5],
    [0, "pipeline", "message", "forward", 0, 0, 1, 0.125],
    [0, "data", "epilogue", "all-grads-sync", 0, -1, 3, 0.5],
    [1, "compute", "task", "backward_weight", 1, 7, 2, 0.5]]}})";

}  // namespace

TEST_CASE("a Chrome trace has a process per rank, a track per stream and Megatron's names", "[trace]") {
  const json trace = json::parse(RenderReport({{"a", kAnswer}}, Format::kChromeTrace));
  std::string lines;
  for (const json& e : trace["traceEvents"]) {
    lines += e["ph"].get<std::string>() + " " + std::to_string(e["pid"].get<int>()) + " ";
    if (e["ph"] == "M") {
      lines += e["args"]["name"].get<std::string>() + "\n";
    } else {
      lines += e["name"].get<std::string>() + " " + e["ts"].dump() + " " + e["dur"].dump() + "\n";
    }
  }
  CHECK(lines ==
        "M 0 pipeline rank 0\n"
        "M 0 compute\n"
        "X 0 forward-compute 0 0.0 1000000.0\n"
        "X 0 gemm 250000.0 500000.0\n"
        "M 0 data\n"
        "X 0 all-grads-sync 3000000.0 500000.0\n"
        "M 0 pipeline\n"
        "X 0 forward-send-recv 0 1000000.0 125000.0\n"
        "M 1 pipeline rank 1\n"
        "M 1 compute\n"
        "X 1 backward-compute (weight) 7 2000000.0 500000.0\n");
}

TEST_CASE("speedscope's events open and close like brackets, in order of time", "[trace]") {
  const json profile = json::parse(RenderReport({{"a", kAnswer}}, Format::kSpeedscope));
  CHECK(profile["profiles"].size() == 4);
  for (const json& p : profile["profiles"]) {
    std::vector<json> open;
    double last = 0;
    for (const json& e : p["events"]) {
      CHECK(e["at"].get<double>() >= last);
      last = e["at"].get<double>();
      if (e["type"] == "O") {
        open.push_back(e["frame"]);
      } else {
        REQUIRE(!open.empty());
        CHECK(open.back() == e["frame"]);
        open.pop_back();
      }
    }
    CHECK(open.empty());
  }
  CHECK(profile["profiles"][0]["events"][1]["at"] == 0.25);
  CHECK(profile["profiles"][0]["events"][2] == json{{"type", "C"}, {"frame", 1}, {"at", 0.75}});
}

TEST_CASE("an answer without a timeline cannot be traced, and the message says how to get one", "[trace]") {
  CHECK_THROWS_WITH(
      RenderReport({{"a.json", R"({"kind":"prediction"})"}}, Format::kChromeTrace),
      "a.json\n  has no timeline, so there is nothing to trace\n  predict it again with --json --timeline");
}
