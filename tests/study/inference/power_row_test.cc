#include "study/inference/power_row.h"

#include <catch2/catch.hpp>

#include "costmodel/inference/power.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

const char* kScenario = R"({"workload": "power", "model": "models/llama2_70b.json",
  "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1}, "strategy": {"tensor": 8, "precision": "fp16"},
  "row": {"servers": 10, "server_watts": 5500, "other_watts": 2500, "load": 0.7, "hours": 0.2, "added": [0, 0.5, 1]},
  "services": [
    {"name": "a", "share": 0.5, "priority": "low", "prompt": {"distribution": "fixed", "mean": 4000}, "output": {"distribution": "fixed", "mean": 100}},
    {"name": "b", "share": 0.5, "priority": "high", "prompt": {"distribution": "fixed", "mean": 4000}, "output": {"distribution": "fixed", "mean": 100}}],
  "policy": {"first": 0.8, "second": 0.89, "margin": 0.05, "low_first_mhz": 1275, "low_second_mhz": 1110, "high_second_mhz": 1305,
    "brake_mhz": 288, "telemetry_s": 2, "control_s": 40, "brake_s": 5},
  "limits": {"high": {"p50": 0.01, "p99": 0.05}, "low": {"p50": 0.05, "p99": 0.5}}})";

TEST_CASE("the more servers share a budget, the more of it they draw, and the more low priority waits", "[study]") {
  const tests::Folder folder;
  const PowerAnswer a = FillRow(ReadPower(folder.Write("s.json", kScenario)));
  REQUIRE(a.rows.size() == 3);
  CHECK(a.rows[0].servers == 10);
  CHECK(a.rows[2].servers == 20);
  CHECK(a.rows[0].kept);
  CHECK(a.rows[0].capped_share == 0);
  CHECK(a.rows[1].mean_power > 1.3 * a.rows[0].mean_power);
  CHECK(a.rows[2].uncapped_peak > 1);
  CHECK(a.rows[2].brakes > 0);
  CHECK_FALSE(a.rows[2].kept);
  CHECK(a.rows[2].low.p50 >= a.rows[1].low.p50);
  CHECK(a.prompt_watts > a.decode_watts);
  CHECK(a.decode_watts > a.idle_watts);
  CHECK(a.idle_watts == Approx(2500 + 8 * 0.2 * 400));
  REQUIRE(a.most_added);
  CHECK(*a.most_added < 10);
}

TEST_CASE("a capped A100 draws a fifth less in prompts and hardly less waiting for memory", "[study]") {
  costmodel::PowerModel power{
      .limit = 400, .peak_flops = 1e12, .bandwidth = 1e12, .flops_per_token = 1e9, .weight_bytes = 1e10};
  const plan::StepLoad prompt{.prompt_tokens = 1000, .pieces = 1}, token{.decoded = 1};
  const double in_prompt = power.Watts(prompt, 1), in_token = power.Watts(token, 0.01);
  CHECK(in_prompt == Approx(400 * (0.2 + 0.75 + 0.4 * 0.01)).epsilon(0.01));
  CHECK(in_token < 0.8 * in_prompt);
  power.clock = 1110.0 / 1410;
  CHECK(power.Watts(prompt, 1) / in_prompt == Approx(0.8).epsilon(0.03));
  CHECK(power.Watts(token, 0.01) / in_token > 0.85);
}

TEST_CASE("a question about power that cannot be is refused with key and remedy", "[study]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& from, const std::string& to) {
    const std::string path = folder.Write("s.json", tests::Replaced(kScenario, from, to));
    return tests::Complaint(folder, [&] { ReadPower(path); });
  };
  CHECK(complaint("\"name\": \"a\", \"share\": 0.5", "\"name\": \"a\", \"share\": 0.4").find("make them add up to 1") !=
        std::string::npos);
  CHECK(complaint("\"low_first_mhz\": 1275", "\"low_first_mhz\": 1500").find("/policy/low_first_mhz = 1500") !=
        std::string::npos);
  CHECK(complaint("\"tensor\": 8", "\"tensor\": 4, \"replicas\": 2").find("for one replica") != std::string::npos);
}

}  // namespace
}  // namespace isochrone::study
