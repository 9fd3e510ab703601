#pragma once

#include <cstdint>
#include <vector>

namespace isochrone::sim::serving {

/// One answer at full clock: the server computes its prompt, then its tokens, and nothing beside.
struct RowRequest {
  double arrival = 0;             // s
  double prompt = 0, decode = 0;  // s
};

/// Power of one server over what it does. A clock of c (1: full) turns the clocked watts into clocked c^exponent.
struct ServerPower {
  double idle = 0;                                  // W, of the whole server
  double prompt_clocked = 0, prompt_unclocked = 0;  // W above idle while a prompt is computed
  double decode_clocked = 0, decode_unclocked = 0;  // W above idle while tokens are
  double exponent = 1.2;
};

struct RowServer {
  bool low_priority = false;
  ServerPower power;
  std::vector<RowRequest> requests;  // sorted by arrival
};

/// When servers are slowed down, and by how much. Clocks are shares of the full one.
///
///   power of an interval ≥ first  of the budget     low priority runs at low_first
///                        ≥ second                   low priority at low_second and, where that has not helped by the
///                                                   time it is in effect, high priority at high_second
///                        ≥ 1                        all run at brake
///
/// Each step is taken back where power falls below its threshold less `margin`. What is decided takes effect
/// `control_s` later, the brake `brake_s` later.
/// Source  Patel et al., "POLCA: Power Oversubscription in LLM Cloud Providers", arXiv 2308.12908, section 5.
struct CapPolicy {
  bool enabled = true;
  double first = 0.80, second = 0.89, margin = 0.05;
  double low_first = 1, low_second = 1, high_second = 1, brake = 0.2;
  double telemetry_s = 2, control_s = 40, brake_s = 5;
};

/// What became of a row. Latencies by server, in the order of its requests.
struct RowRun {
  std::vector<std::vector<double>> latency;  // s, from arrival to the last token
  std::vector<double> watts;                 // mean of each interval
  double end = 0;                            // s, of the last answer
  double capped_share = 0;                   // of the intervals in which any server ran slower
  std::int64_t brakes = 0;                   // times that the brake was decided
};

/// Plays a row of servers under a power budget in intervals of telemetry_s. In an interval every clock is constant;
/// a prompt advances at its server's clock, tokens at full speed whatever the clock: they wait for memory.
///
/// budget_w  of the whole row
/// Assumes   one request at a time on a server; the brake slows tokens no more than a cap does.
RowRun PlayRow(const std::vector<RowServer>& servers, const CapPolicy& policy, double budget_w);

}  // namespace isochrone::sim::serving
