#include "sim/serving/power_row.h"

#include <catch2/catch.hpp>

#include <numeric>

namespace isochrone::sim::serving {
namespace {

/// 100 W idle, 500 W with a prompt (all of the rise clocked), 300 W with tokens (half of the rise).
ServerPower Power() {
  return {.idle = 100, .prompt_clocked = 400, .decode_clocked = 100, .decode_unclocked = 100, .exponent = 1};
}

CapPolicy Quick() {
  return {.low_first = 0.5,
          .low_second = 0.25,
          .high_second = 0.5,
          .brake = 0.1,
          .telemetry_s = 1,
          .control_s = 2,
          .brake_s = 1};
}

TEST_CASE("a server answers one request after the other and draws what each phase draws", "[serving]") {
  const std::vector<RowServer> row = {{false, Power(), {{0, 1, 2}, {0.5, 1, 1}, {10, 1, 1}}}};
  CapPolicy off = Quick();
  off.enabled = false;
  const RowRun run = PlayRow(row, off, 1e9);
  CHECK(run.latency[0] == std::vector<double>{3, 4.5, 2});
  CHECK(run.watts[0] == 500);
  CHECK(run.watts[1] == 300);
  CHECK(run.watts[3] == 500);
  CHECK(run.watts[6] == 100);
  CHECK(run.end == 12);
  CHECK(run.capped_share == 0);
}

TEST_CASE("a cap slows the prompts of low priority and no tokens, after its delay", "[serving]") {
  // Both servers compute 10 s of prompt, then 10 s of tokens; 1000 W are over 0.8 of the budget, not over 0.89.
  const std::vector<RowServer> row = {{true, Power(), {{0, 10, 10}}}, {false, Power(), {{0, 10, 10}}}};
  CapPolicy policy = Quick();
  policy.margin = 1;  // once slowed, slow
  const RowRun run = PlayRow(row, policy, 1180);
  // Seen at 1 s, in effect from 3 s: 7 s of prompt take 14 s.
  CHECK(run.latency[0][0] == 3 + 14 + 10);
  CHECK(run.latency[1][0] == 20);
  CHECK(run.watts[0] == 1000);
  CHECK(run.watts[3] == 800);
  CHECK(run.brakes == 0);
}

TEST_CASE("the second threshold slows low priority more and high priority only where that has not helped",
          "[serving]") {
  const std::vector<RowServer> row = {{true, Power(), {{0, 20, 1}}}, {false, Power(), {{0, 20, 1}}}};
  // 1000 W of 1020 W: low priority to a quarter from 3 s, 700 W then; high priority is left alone.
  const RowRun helped = PlayRow(row, Quick(), 1020);
  CHECK(helped.watts[3] == 700);
  CHECK(helped.latency[1][0] == 21);
  CHECK(helped.latency[0][0] > 21);
  // Six more of high priority: 3700 of 4100 W are seen at 4 s, so that they are slowed from 6 s.
  std::vector<RowServer> more = row;
  more.insert(more.end(), 6, row[1]);
  const RowRun slowed = PlayRow(more, Quick(), 4100);
  CHECK(slowed.brakes == 0);
  CHECK(slowed.watts[5] == 3700);
  CHECK(slowed.watts[6] == 200 + 7 * 300);
  CHECK(slowed.latency[1][0] > 21);
  CHECK(PlayRow(more, Quick(), 3900).brakes > 0);
}

TEST_CASE("a row that falls below a threshold by the margin is let go again", "[serving]") {
  RowServer low{true, Power(), {{0, 4, 0}, {30, 4, 0}}};
  const RowRun run = PlayRow({low}, Quick(), 600);
  CHECK(run.latency[0][0] == 3 + 2);  // capped from 3 s on
  CHECK(run.latency[0][1] == 3 + 2);  // free again by then
  CHECK(run.capped_share > 0);
  CHECK(run.capped_share < 1);
}

TEST_CASE("no answer of a row is lost, whatever the policy, and work is conserved", "[serving]") {
  std::vector<RowServer> row;
  for (int s = 0; s < 8; ++s) {
    RowServer server{s % 2 == 0, Power(), {}};
    for (int i = 0; i < 50; ++i) server.requests.push_back({i * 4.0 + s, 1.0 + i % 3, 0.5 * (i % 4)});
    row.push_back(server);
  }
  CapPolicy off = Quick();
  off.enabled = false;
  const RowRun free = PlayRow(row, off, 1), capped = PlayRow(row, Quick(), 8 * 330);
  for (std::size_t s = 0; s < row.size(); ++s) {
    REQUIRE(capped.latency[s].size() == 50);
    for (std::size_t i = 0; i < 50; ++i) CHECK(capped.latency[s][i] >= free.latency[s][i] - 1e-9);
  }
  CHECK(PlayRow(row, Quick(), 8 * 330).latency == capped.latency);
}

}  // namespace
}  // namespace isochrone::sim::serving
