#pragma once

#include <variant>
#include <vector>

#include "plan/schedule.h"

namespace isochrone::executor::cuda {

/// One message between pipeline ranks.
struct PipelineMessage {
  bool backward = false;
  int direction = 0, stage = 0, microbatch = 0;  // of the stage that made it
  int from = 0, to = 0;                          // pipeline ranks
  bool operator==(const PipelineMessage&) const = default;
};
/// What one rank sends and receives at one instant: one NCCL group.
using MessageGroup = std::vector<PipelineMessage>;
/// What a rank's host launches, in order: tasks (by index in its order) and message groups.
using RankLaunches = std::vector<std::variant<int, MessageGroup>>;

/// One order of tasks and messages over all pipeline ranks, cut into what each rank launches.
///
/// NCCL matches messages of a pair in the order in which they are launched, and a send may hold its stream until the
/// receive is launched. So every rank follows one order of the whole pipeline: the schedule is played with unit times
/// (a forward pass 2, either half of a backward pass 2), a message belongs to the instant at which its task ends, and
/// goes before all tasks that end later. Nothing in that order depends on what comes after it, so no rank can wait for
/// another in a circle, even where every message is a rendezvous. Messages of one instant do not depend on one another
/// and go as one group, so that two ranks which exchange messages launch send and receive together.
///
/// Requires  plan::Validate(schedule) passed
std::vector<RankLaunches> OrderMessages(const plan::Schedule& schedule);

}  // namespace isochrone::executor::cuda
