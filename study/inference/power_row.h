#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/inference/inference_scenario.h"
#include "sim/serving/arrivals.h"
#include "sim/serving/power_row.h"

namespace isochrone::study {

/// What a share of a row's servers answers.
struct RowService {
  std::string name;
  double share = 0;  // of the servers
  bool low_priority = false;
  sim::serving::Lengths prompt, output;
};

/// How much later answers of one priority may come than without caps, as shares: 0.05 is 5%.
struct LatencyLimit {
  double p50 = 0, p99 = 0;
};

/// A row of equal servers under a power budget. A server is one node of the cluster and holds one replica.
struct PowerScenario {
  plan::InferenceScenario engine;
  int servers = 40;         // that the budget was made for
  double server_watts = 0;  // budgeted for each
  double other_watts = 0;   // of a server beside its GPUs, always
  double load = 0.8;        // share of its time that a server works, uncapped
  double hours = 1;         // of arrivals
  std::uint64_t seed = 1;
  std::vector<double> added;  // shares of servers to add, each answered
  std::vector<RowService> services;
  sim::serving::CapPolicy policy;
  LatencyLimit high, low;
};

/// Reads a file with `"workload": "power"`. Throws Error.
PowerScenario ReadPower(const std::string& path);

/// One number of servers under the policy, against the same servers without caps.
struct RowAnswer {
  int servers = 0;
  double mean_power = 0, peak_power = 0;  // over the budget, while requests arrive
  double uncapped_peak = 0;               // without caps
  double capped_share = 0;                // of the time
  std::int64_t brakes = 0;
  LatencyLimit high, low;       // how much later than without caps
  double throughput_lost = 0;   // share of the answers a second
  std::vector<double> minutes;  // mean power of each minute, over the budget
  bool kept = false;            // no brake, and both limits
};

struct PowerAnswer {
  double budget_watts = 0;
  double prompt_seconds = 0, decode_seconds = 0;              // mean of a request
  double prompt_watts = 0, decode_watts = 0, idle_watts = 0;  // of a server
  std::vector<RowAnswer> rows;                                // of each added share
  std::optional<int> most_added;  // servers, the most up to doubling that keep both limits without a brake
};

/// How many servers more the budget bears.
///
/// Requests arrive at each server as a Poisson process at `load` of what it can answer, prompts and answers of its
/// service's lengths; one is answered after the other. Servers that are added bring load of their own; those that stand
/// keep theirs, request by request.
PowerAnswer FillRow(const PowerScenario& scenario);

}  // namespace isochrone::study
