// A row of servers under a power budget.
#include "sim/serving/power_row.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace isochrone::sim::serving {
namespace {

/// One server's queue: what it works on, and how far that is.
class Player {
 public:
  explicit Player(const RowServer& server) : server_(server) { latency_.reserve(server.requests.size()); }

  bool Done() const { return latency_.size() == server_.requests.size(); }
  double End() const { return end_; }
  std::vector<double>& latency() { return latency_; }

  /// Moves from `start` to `stop` at `clock`; the joules spent.
  double Advance(double start, double stop, double clock) {
    const ServerPower& p = server_.power;
    const double scale = std::pow(clock, p.exponent);
    const double prompt = p.prompt_clocked * scale + p.prompt_unclocked,
                 decode = p.decode_clocked * scale + p.decode_unclocked;
    joules_ = p.idle * (stop - start), now_ = start;
    while (!Done()) {
      const RowRequest& r = server_.requests[latency_.size()];
      if (!working_) {
        if (r.arrival >= stop) break;
        now_ = std::max(now_, r.arrival), working_ = true, prompt_left_ = r.prompt, decode_left_ = r.decode;
      }
      if (!Ends(prompt_left_, clock, prompt, stop) || !Ends(decode_left_, 1, decode, stop)) break;
      latency_.push_back(now_ - r.arrival), end_ = now_, working_ = false;
    }
    return joules_;
  }

 private:
  /// Works `left` seconds of full speed off at `speed`; whether that ends by `stop`.
  bool Ends(double& left, double speed, double watts, double stop) {
    const double needed = left / speed, given = std::min(needed, stop - now_);
    joules_ += watts * given;
    if (given < needed) {
      left -= given * speed, now_ = stop;
      return false;
    }
    left = 0, now_ += given;
    return true;
  }

  const RowServer& server_;
  std::vector<double> latency_;
  bool working_ = false;
  double prompt_left_ = 0, decode_left_ = 0, end_ = 0, now_ = 0, joules_ = 0;
};

/// Watches the row's power and sets clocks, some time later.
class Controller {
 public:
  Controller(const CapPolicy& policy, double budget) : policy_(policy), budget_(budget) {}

  double Clock(bool low_priority) const { return low_priority ? low_ : high_; }
  bool Capped() const { return low_ < 1 || high_ < 1; }
  std::int64_t brakes() const { return brakes_; }

  void Observe(double now, double watts) {
    if (!policy_.enabled) return;
    const double share = watts / budget_;
    const bool seen = now >= in_effect_ + policy_.telemetry_s;  // a whole interval under the last decision
    if (share >= 1 && level_ != kBrake) {
      ++brakes_;
      Decide(now, policy_.brake_s, kBrake);
    } else if (share >= policy_.second && level_ < kLowSecond) {
      Decide(now, policy_.control_s, kLowSecond);
    } else if (share >= policy_.second && level_ == kLowSecond && seen) {
      Decide(now, policy_.control_s, kHighSecond);
    } else if (share >= policy_.first && level_ < kLowFirst) {
      Decide(now, policy_.control_s, kLowFirst);
    } else if (level_ >= kLowSecond && share < policy_.second - policy_.margin && seen) {
      Decide(now, policy_.control_s, kLowFirst);
    } else if (level_ == kLowFirst && share < policy_.first - policy_.margin && seen) {
      Decide(now, policy_.control_s, kFree);
    }
  }
  /// Lets come into effect what was decided long enough ago.
  void Apply(double now) {
    for (; !pending_.empty() && pending_.front().time <= now; pending_.pop_front()) {
      const Level level = pending_.front().level;
      low_ = level == kFree ? 1 : level == kLowFirst ? policy_.low_first : policy_.low_second;
      high_ = level == kHighSecond ? policy_.high_second : 1;
      if (level == kBrake) low_ = high_ = policy_.brake;
    }
  }

 private:
  enum Level { kFree, kLowFirst, kLowSecond, kHighSecond, kBrake };
  struct Order {
    double time;
    Level level;
  };
  void Decide(double now, double delay, Level level) {
    level_ = level, in_effect_ = now + delay;
    while (!pending_.empty() && pending_.back().time > in_effect_) pending_.pop_back();  // overtaken by the brake
    pending_.push_back({in_effect_, level});
  }

  const CapPolicy& policy_;
  double budget_, low_ = 1, high_ = 1, in_effect_ = 0;
  Level level_ = kFree;
  std::deque<Order> pending_;
  std::int64_t brakes_ = 0;
};

}  // namespace

RowRun PlayRow(const std::vector<RowServer>& servers, const CapPolicy& policy, double budget_w) {
  std::vector<Player> players(servers.begin(), servers.end());
  Controller controller(policy, budget_w);
  RowRun run;
  std::int64_t capped = 0, intervals = 0;
  const auto done = [&] {
    return std::all_of(players.begin(), players.end(), [](const Player& p) { return p.Done(); });
  };
  for (; !done(); ++intervals) {
    const double start = static_cast<double>(intervals) * policy.telemetry_s, stop = start + policy.telemetry_s;
    controller.Apply(start);
    capped += controller.Capped();
    double joules = 0;
    for (std::size_t i = 0; i < servers.size(); ++i)
      joules += players[i].Advance(start, stop, controller.Clock(servers[i].low_priority));
    const double watts = joules / policy.telemetry_s;
    run.watts.push_back(watts);
    controller.Observe(stop, watts);
  }
  for (Player& p : players) {
    run.end = std::max(run.end, p.End());
    run.latency.push_back(std::move(p.latency()));
  }
  run.capped_share = intervals > 0 ? static_cast<double>(capped) / static_cast<double>(intervals) : 0;
  run.brakes = controller.brakes();
  return run;
}

}  // namespace isochrone::sim::serving
