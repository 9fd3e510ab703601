#pragma once

#include <array>
#include <span>
#include <vector>

#include "plan/plan.h"
#include "sim/order_graph.h"

namespace isochrone::sim {

/// Plays an order at times of its tasks, and tells which of them the last end waited for. Several may play one graph at
/// once.
class OrderPlay {
 public:
  /// `graph` must outlive it
  explicit OrderPlay(const OrderGraph& graph);

  /// One step of the path that the end waited for, from the end back to the start: a task, or a message (task −1).
  struct Step {
    int task = -1;
  };
  /// The order is played at so many sets of times at once: what one waits for is computed beside the others.
  static constexpr int kLanes = 4;
  struct Times {
    std::vector<double> seconds;  // [work]
    double message = 0;           // of each message between ranks
  };
  /// Requires  1 … kLanes times
  void Play(std::span<const Times> times, plan::MessageMode mode);
  /// Of one of the times of the last play, walks back from the end to `path`, which keeps its memory.
  void LongestPath(int lane, std::vector<Step>& path) const;
  /// In seconds, of the last play.
  double StartOf(int lane, int task) const { return start_[task][lane]; }

 private:
  using Lanes = std::array<double, kLanes>;

  template <bool kBlocking>
  void Play();

  const OrderGraph& graph_;
  // of the last play
  bool blocking_ = false;
  Lanes message_{};
  std::vector<Lanes> seconds_;                // [work]
  std::vector<Lanes> start_, end_, arrival_;  // [task], [task], [message]
};

}  // namespace isochrone::sim
