#pragma once

#include <vector>

#include "plan/plan.h"
#include "plan/timeline.h"
#include "sim/event.h"
#include "sim/network/network_graph.h"
#include "sim/network/task_collective.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// Where something that the timeline shows stands in the graph: from the start of `first`, or where that is -1 from the
/// end of `begin_after` (-1: the step's start), to the end of `last`.
struct Mark {
  int first = -1, last = -1;
  int rank = 0;  // pipeline rank; its first replica
  plan::SpanKind kind = plan::SpanKind::kTask;
  plan::Stream stream = plan::Stream::kCompute;
  plan::Task task = {};
  int name = -1;         // index into `names`
  int begin_after = -1;  // where `first` is -1
};

struct ExpandedStep {
  NetworkGraph graph;  // labels are plan::Stream
  std::vector<Mark> marks;
  std::vector<std::string> names;
  /// Per pipeline rank, of its first replica: activities that a rank waits for in a message (its own and those that it
  /// receives); the ends of its prologue, its tasks with their messages, its side tasks and its epilogue.
  std::vector<std::vector<int>> messages;
  std::vector<int> prologue_end, tasks_end, side_end, epilogue_end;
  /// Where a rank's task may wait for a collective inside it: from the end of `worked` to the end of `until`.
  struct Wait {
    int rank = 0;
    plan::Stream stream = plan::Stream::kTensor;
    int worked = 0, until = 0;
  };
  std::vector<Wait> waits;
};

/// Beyond so many messages, the collectives of a task over one kind of group are joined into fewer.
inline constexpr double kMostTaskMessages = 1 << 20;

/// A step as activities and messages: every task of every replica of the pipeline, every message between stages, every
/// reduction and gather over data-parallel groups and between the holders of a tied embedding.
///
/// A replica is one (dp, cp) of each pipeline rank. Its tensor ranks compute alike: one chain of computes stands for
/// them, but each sends and receives its own messages. With Plan::message_scatter_gather each sends 1/tp, and arriving
/// parts are gathered over the inside of the node, which extends the message's latency. Rules of order and of blocking
/// are those of sim::Simulate: what a blocked receiver owes is held as long as the message alone would take. The
/// slowdown of compute beside side tasks is left out; study/predict.cc adds the event engine's.
///
/// Tensor, context and expert collectives are part of their tasks. Those of groups that span nodes are flows between
/// the nodes (CrossingHops) beside the task's work, which waits where their result is needed. A flow waits before its
/// bytes for what the collective takes alone beyond its transfer (latency, steps, the inside of the node), so that with
/// nobody else on the links a task takes what `costs` says. Beyond kMostTaskMessages those of one task are joined
/// (Merged). Groups inside a node, and everything else, take the seconds of `costs`.
///
/// host_of_rank  of each world rank
/// inside        collectives of the tasks, and how all-reduces go between nodes
/// Requires  plan::Validate(plan.schedule) passed; costs have the plan's sizes; layout.pp ranks in the schedule
ExpandedStep Expand(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
                    const std::vector<int>& host_of_rank, const StepCollectives& inside = {});

}  // namespace isochrone::sim::network
