#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "plan/inference/step_cost.h"
#include "sim/serving/request.h"

namespace isochrone::sim::serving {

/// The sequences that decode together. Each step gives every one of them a token, so a sequence ends at a known tick of
/// a common counter: the next end is the top of a heap, and a run of steps moves one counter.
class RunningSet {
 public:
  void Join(std::int32_t id, std::int64_t steps, double cached) {
    ends_.push_back({ticks_ + steps, id});
    std::push_heap(ends_.begin(), ends_.end(), Later);
    cached_ += cached;
  }
  bool Empty() const { return ends_.empty(); }
  std::int64_t Size() const { return static_cast<std::int64_t>(ends_.size()); }
  double Cached() const { return cached_; }
  std::int64_t Ticks() const { return ticks_; }
  std::int64_t StepsToNextEnd() const { return ends_.front().tick - ticks_; }
  void Advance(std::int64_t steps) {
    ticks_ += steps;
    cached_ += static_cast<double>(steps) * static_cast<double>(ends_.size());
  }
  /// Calls ended(id) for each sequence whose last token is out, and forgets it; `ended` returns the tokens that it had
  /// cached.
  template <class Ended>
  void TakeEnded(const Ended& ended) {
    while (!ends_.empty() && ends_.front().tick <= ticks_) {
      const std::int32_t id = ends_.front().id;
      std::pop_heap(ends_.begin(), ends_.end(), Later);
      ends_.pop_back();
      cached_ -= ended(id);
    }
    if (ends_.empty()) cached_ = 0;  // sums of many numbers drift
  }
  /// Takes a sequence out before its end.
  void Leave(std::int32_t id, double cached) {
    const auto it = std::find_if(ends_.begin(), ends_.end(), [id](const End& e) { return e.id == id; });
    *it = ends_.back();
    ends_.pop_back();
    std::make_heap(ends_.begin(), ends_.end(), Later);
    cached_ -= cached;
  }

 private:
  struct End {
    std::int64_t tick;
    std::int32_t id;
  };
  static bool Later(const End& a, const End& b) { return a.tick != b.tick ? a.tick > b.tick : a.id > b.id; }

  std::vector<End> ends_;
  std::int64_t ticks_ = 0;
  double cached_ = 0;
};

/// The least number of decode steps, at least 1, that take `seconds` or longer.
inline std::int64_t StepsLasting(const plan::StepCost& cost, double decoded, double cached, double seconds) {
  // As if the host never bounded a step: a k + b k (k - 1) / 2 = seconds. Then one step up or down at a time; where
  // the host does bound, by doubling.
  const double a = cost.Seconds({.decoded = decoded, .cached = cached}), b = cost.per_cached * decoded;
  double k = b > 1e-18 ? (b / 2 - a + std::sqrt((a - b / 2) * (a - b / 2) + 2 * b * seconds)) / b : seconds / a;
  k = std::max(1.0, std::ceil(k));
  if (cost.enqueue_decode > 0) {
    k = 1;
    while (cost.DecodeRun(decoded, cached, k) < seconds) k *= 2;
    double low = std::floor(k / 2);
    while (k - low > 1) {
      const double middle = std::floor((low + k) / 2);
      (cost.DecodeRun(decoded, cached, middle) < seconds ? low : k) = middle;
    }
    return static_cast<std::int64_t>(std::max(1.0, k));
  }
  while (k > 1 && cost.DecodeRun(decoded, cached, k - 1) >= seconds) --k;
  while (cost.DecodeRun(decoded, cached, k) < seconds) ++k;
  return static_cast<std::int64_t>(k);
}

/// Writes down what the engine did and moves its clock.
class Clock {
 public:
  Clock(Served& served, bool trace) : served_(served), trace_(trace) {}
  double Now() const { return now_; }
  void WaitUntil(double time) { now_ = std::max(now_, time); }
  /// `decoded` sequences get a token at each of the steps. `stalled`: others run and get none meanwhile.
  void Spend(double seconds, Phase phase, std::int64_t steps, double decoded, bool stalled = false) {
    if (decoded > 0) {
      const double each = seconds / static_cast<double>(steps);
      served_.gaps.push_back({stall_ + each, decoded});
      if (steps > 1) served_.gaps.push_back({each, decoded * static_cast<double>(steps - 1)});
      stall_ = 0;
    } else if (stalled) {
      stall_ += seconds;
    }
    (phase == Phase::kPrompt ? served_.prompt_seconds : served_.decode_seconds) += seconds;
    served_.steps += steps;
    if (phase == Phase::kPrompt) served_.prompt_steps += steps;
    if (trace_) Record(seconds, phase);
    now_ += seconds;
  }

 private:
  void Record(double seconds, Phase phase) {
    auto& all = served_.stretches;
    if (!all.empty() && all.back().phase == phase && all.back().end == now_) all.back().end = now_ + seconds;
    else all.push_back({now_, now_ + seconds, phase});
  }
  Served& served_;
  bool trace_;
  double now_ = 0, stall_ = 0;
};

}  // namespace isochrone::sim::serving
