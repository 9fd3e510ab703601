#include "study/inference/power_row.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "costmodel/inference/power.h"
#include "costmodel/inference/step_price.h"

namespace isochrone::study {
namespace {

using sim::serving::RowRequest;
using sim::serving::RowRun;
using sim::serving::RowServer;

constexpr double kHour = 3600;

/// Times and power of single requests on one server.
class Pricing {
 public:
  explicit Pricing(const PowerScenario& s)
      : cost_(costmodel::ReplicaCostOf(s.engine)), power_(costmodel::PowerOf(s.engine)), other_(s.other_watts) {
    gpus_ = s.engine.base.cluster.node.gpus;
    used_ = s.engine.strategy.tensor * s.engine.strategy.pipeline;
  }

  RowRequest Times(const sim::serving::Request& r) const {
    const double prompt = sim::serving::PromptOf(r), steps = std::max(0, r.output - 1);
    RowRequest times{.arrival = r.arrival, .prompt = cost_.Latency(Prompt(prompt))};
    for (const plan::StepCost& stage : cost_.stages) times.decode += stage.DecodeRun(1, prompt + 1, steps);
    times.decode += steps * cost_.Message(Decode(prompt)) * static_cast<double>(cost_.stages.size() - 1);
    return times;
  }

  /// Of a server that answers requests of this middle length.
  sim::serving::ServerPower Power(double prompt, double output) const {
    const plan::StepLoad p = Prompt(prompt), d = Decode(prompt + output / 2);
    // Stages take turns: while one works, the others of the replica idle.
    const double share = used_ / static_cast<double>(cost_.stages.size());
    const costmodel::PowerDraw in_prompt = power_.Draw(p, cost_.Latency(p) / Stages()),
                               in_decode = power_.Draw(d, cost_.Latency(d) / Stages());
    return {.idle = other_ + gpus_ * in_prompt.idle,
            .prompt_clocked = share * in_prompt.clocked,
            .prompt_unclocked = share * in_prompt.unclocked,
            .decode_clocked = share * in_decode.clocked,
            .decode_unclocked = share * in_decode.unclocked,
            .exponent = costmodel::kClockExponent};
  }

 private:
  static plan::StepLoad Prompt(double q) { return {.prompt_tokens = q, .prompt_pairs = q * q / 2, .pieces = 1}; }
  static plan::StepLoad Decode(double cached) { return {.decoded = 1, .cached = cached}; }
  double Stages() const { return static_cast<double>(cost_.stages.size()); }

  plan::ReplicaCost cost_;
  costmodel::PowerModel power_;
  double other_ = 0, gpus_ = 1, used_ = 1;
};

/// Mean times and lengths of a service's requests.
struct ServiceMeans {
  double prompt_tokens = 0, output_tokens = 0, prompt = 0, decode = 0;
};

ServiceMeans MeansOf(const RowService& service, const Pricing& pricing) {
  constexpr std::size_t kSample = 4000;
  const auto sample = sim::serving::Poisson(1, kSample, service.prompt, service.output, 12345);
  ServiceMeans means;
  for (const sim::serving::Request& r : sample) {
    const RowRequest times = pricing.Times(r);
    means.prompt_tokens += sim::serving::PromptOf(r), means.output_tokens += r.output;
    means.prompt += times.prompt, means.decode += times.decode;
  }
  for (double* sum : {&means.prompt_tokens, &means.output_tokens, &means.prompt, &means.decode})
    *sum /= static_cast<double>(kSample);
  return means;
}

/// Deals servers to services in proportion to their shares, so that any first n hold them as evenly as can be.
std::vector<std::size_t> ServiceOfEach(const PowerScenario& s, int servers) {
  std::vector<double> owed(s.services.size(), 0);
  std::vector<std::size_t> service;
  for (int i = 0; i < servers; ++i) {
    for (std::size_t k = 0; k < owed.size(); ++k) owed[k] += s.services[k].share;
    const auto next = static_cast<std::size_t>(std::max_element(owed.begin(), owed.end()) - owed.begin());
    owed[next] -= 1;
    service.push_back(next);
  }
  return service;
}

std::vector<RowServer> Servers(const PowerScenario& s, const Pricing& pricing, const std::vector<ServiceMeans>& means,
                               int count) {
  std::vector<RowServer> row;
  const std::vector<std::size_t> services = ServiceOfEach(s, count);
  for (int i = 0; i < count; ++i) {
    const std::size_t k = services[static_cast<std::size_t>(i)];
    const ServiceMeans& m = means[k];
    const double rate = s.load / (m.prompt + m.decode);
    const auto n = static_cast<std::size_t>(std::ceil(rate * s.hours * kHour));
    RowServer server{s.services[k].low_priority, pricing.Power(m.prompt_tokens, m.output_tokens), {}};
    const auto seed = s.seed * 1'000'003 + static_cast<std::uint64_t>(i);
    for (const sim::serving::Request& r :
         sim::serving::Poisson(rate, n, s.services[k].prompt, s.services[k].output, seed))
      server.requests.push_back(pricing.Times(r));
    row.push_back(std::move(server));
  }
  return row;
}

LatencyLimit Later(const std::vector<RowServer>& row, const RowRun& capped, const RowRun& free, bool low) {
  std::vector<double> with, without;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].low_priority != low) continue;
    with.insert(with.end(), capped.latency[i].begin(), capped.latency[i].end());
    without.insert(without.end(), free.latency[i].begin(), free.latency[i].end());
  }
  if (with.empty()) return {};
  return {Quantile(with, 0.5) / Quantile(without, 0.5) - 1, Quantile(with, 0.99) / Quantile(without, 0.99) - 1};
}

RowAnswer AnswerOf(const PowerScenario& s, const std::vector<RowServer>& row) {
  const double budget = s.servers * s.server_watts;
  sim::serving::CapPolicy off = s.policy;
  off.enabled = false;
  const RowRun capped = PlayRow(row, s.policy, budget), free = PlayRow(row, off, budget);
  RowAnswer a;
  a.servers = static_cast<int>(row.size());
  const auto arriving = static_cast<std::size_t>(s.hours * kHour / s.policy.telemetry_s);
  const auto during = [&](const RowRun& run) {
    return std::span(run.watts).subspan(0, std::min(arriving, run.watts.size()));
  };
  a.mean_power = Mean(during(capped)) / budget;
  a.peak_power = *std::max_element(during(capped).begin(), during(capped).end()) / budget;
  a.uncapped_peak = *std::max_element(during(free).begin(), during(free).end()) / budget;
  const auto minute = static_cast<std::size_t>(std::max(1.0, std::round(60 / s.policy.telemetry_s)));
  for (std::size_t i = 0; i + minute <= during(capped).size(); i += minute)
    a.minutes.push_back(Mean(during(capped).subspan(i, minute)) / budget);
  a.capped_share = capped.capped_share, a.brakes = capped.brakes;
  a.high = Later(row, capped, free, false), a.low = Later(row, capped, free, true);
  a.throughput_lost = 1 - free.end / capped.end;
  a.kept = a.brakes == 0 && a.high.p50 <= s.high.p50 && a.high.p99 <= s.high.p99 && a.low.p50 <= s.low.p50 &&
           a.low.p99 <= s.low.p99;
  return a;
}

void AddMeans(const PowerScenario& s, const Pricing& pricing, const std::vector<ServiceMeans>& means, PowerAnswer& a) {
  for (std::size_t k = 0; k < means.size(); ++k) {
    const double share = s.services[k].share;
    const sim::serving::ServerPower power = pricing.Power(means[k].prompt_tokens, means[k].output_tokens);
    a.prompt_seconds += share * means[k].prompt, a.decode_seconds += share * means[k].decode;
    a.idle_watts = power.idle;
    a.prompt_watts += share * (power.idle + power.prompt_clocked + power.prompt_unclocked);
    a.decode_watts += share * (power.idle + power.decode_clocked + power.decode_unclocked);
  }
}

}  // namespace

PowerAnswer FillRow(const PowerScenario& s) {
  const Pricing pricing(s);
  std::vector<ServiceMeans> means;
  for (const RowService& service : s.services) means.push_back(MeansOf(service, pricing));
  PowerAnswer a;
  a.budget_watts = s.servers * s.server_watts;
  AddMeans(s, pricing, means, a);
  // Servers keep their requests whatever stands beside them, so that each row is the one before and more.
  const std::vector<RowServer> all = Servers(s, pricing, means, 2 * s.servers);
  const auto first = [&](int n) { return std::vector<RowServer>(all.begin(), all.begin() + n); };
  for (const double share : s.added)
    a.rows.push_back(AnswerOf(s, first(s.servers + static_cast<int>(std::lround(share * s.servers)))));
  for (int more = 0; more <= s.servers && AnswerOf(s, first(s.servers + more)).kept; ++more) a.most_added = more;
  return a;
}

}  // namespace isochrone::study
