#pragma once

#include <array>
#include <span>
#include <vector>

#include "plan/plan.h"
#include "plan/schedule.h"

namespace isochrone::sim {

/// A schedule's order as a graph that is walked in one sweep: what the event engine (sim/event.h) plays, for passes and
/// messages alone, and which of them the last end waited for.
class OrderGraph {
 public:
  /// Requires  plan::Validate(schedule) passed
  explicit OrderGraph(const plan::Schedule& schedule);

  /// One task: which work it does, and where it stands.
  struct Task {
    int rank = 0, work = 0, microbatch = 0;
    int before = -1;           // task before it on the rank
    int sent = -1;             // last message of the rank before it
    int inputs[2] = {-1, -1};  // messages
  };
  /// What tasks may cost alike: one entry per (slot, phase), and per (slot, other chunk) of an overlapped pair.
  struct Work {
    int rank = 0, stage = 0, stage_b = -1;  // stage_b: of the backward half of an overlapped pair
    plan::Phase phase = plan::Phase::kForward;
    int tasks = 0;  // that do it
  };
  const std::vector<Task>& tasks() const { return tasks_; }
  const std::vector<Work>& works() const { return works_; }
  const plan::ScheduleShape& shape() const { return shape_; }
  int directions() const { return directions_; }

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
  struct Message {
    int task = 0, before = -1;  // message before it on the rank
  };
  class Builder;

  using Lanes = std::array<double, kLanes>;

  template <bool kBlocking>
  void Play();

  plan::ScheduleShape shape_;
  int directions_ = 1;
  std::vector<Task> tasks_;        // each after all that it waits for
  std::vector<Message> messages_;  // in the same order
  std::vector<int> sends_;         // [task] messages sent by all before it; and one past the last
  std::vector<Work> works_;
  std::vector<int> last_task_, last_message_;  // [rank]
  // of the last play
  bool blocking_ = false;
  Lanes message_{};
  std::vector<Lanes> seconds_;                // [work]
  std::vector<Lanes> start_, end_, arrival_;  // [task], [task], [message]
};

}  // namespace isochrone::sim
