#pragma once

#include <vector>

#include "plan/plan.h"
#include "plan/schedule.h"

namespace isochrone::sim {

/// A schedule's order as a graph that is walked in one sweep (sim/order_play.h): what the event engine (sim/event.h)
/// plays, for passes and messages alone.
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

 private:
  friend class OrderPlay;
  struct Message {
    int task = 0, before = -1;  // message before it on the rank
  };
  class Builder;

  plan::ScheduleShape shape_;
  int directions_ = 1;
  std::vector<Task> tasks_;        // each after all that it waits for
  std::vector<Message> messages_;  // in the same order
  std::vector<int> sends_;         // [task] messages sent by all before it; and one past the last
  std::vector<Work> works_;
  std::vector<int> last_task_, last_message_;  // [rank]
};

}  // namespace isochrone::sim
