#pragma once

#include <functional>
#include <vector>

#include "plan/collectives/algorithm.h"
#include "plan/op.h"

namespace isochrone::sim::network {

/// A collective inside a pipeline task over a group that spans nodes: the tensor, context or expert ranks' part of a
/// layer. It starts `begin` into the task's work and something waits for it at `end`; alone on the wire it takes
/// `alone`, at most end - begin, of which the rest is hidden behind compute.
struct TaskCollective {
  plan::Stream stream = plan::Stream::kTensor;
  plan::Collective op;
  plan::collectives::Algorithm algorithm = plan::collectives::Algorithm::kRing;
  double begin = 0, end = 0, alone = 0;  // seconds
};

/// What the network needs to know of a step's collectives beside its plan and costs.
struct StepCollectives {
  /// Those inside each kind of task, ascending by begin; empty where nothing inside tasks leaves a node.
  std::vector<std::vector<TaskCollective>> task;  // [slot * kPhases + phase], as StepCosts::task
  std::vector<std::vector<TaskCollective>> pair;  // as StepCosts::overlapped

  /// How an all-reduce outside tasks goes between nodes; empty: by rings.
  std::function<plan::collectives::Algorithm(const plan::Collective&)> algorithm;

  plan::collectives::Algorithm AlgorithmOf(const plan::Collective& op) const {
    return algorithm ? algorithm(op) : plan::collectives::Algorithm::kRing;
  }
  /// Those of one kind of task.
  static const std::vector<TaskCollective>& At(const std::vector<std::vector<TaskCollective>>& all, std::size_t i) {
    static const std::vector<TaskCollective> none;
    return i < all.size() ? all[i] : none;
  }
};

/// Whether both are of one stream and group and go the same way through the network.
bool SameWay(const TaskCollective& a, const TaskCollective& b);

/// `all` in about `share` of the number, at least one of each stream, group and way through the network: consecutive
/// ones become one that starts with the first and is needed with the last, carries the bytes of all and hides as much.
/// A ring all-reduce counts as a gather of twice its bytes, a reduce-scatter as a gather.
std::vector<TaskCollective> Merged(const std::vector<TaskCollective>& all, double share);

}  // namespace isochrone::sim::network
