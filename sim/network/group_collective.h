#pragma once

#include <vector>

#include "plan/collectives/algorithm.h"
#include "plan/op.h"
#include "sim/network/collective_graph.h"

namespace isochrone::sim::network {

/// Beyond so many messages a collective is a few fluid rings instead of steps.
inline constexpr int kMostSteppedMessages = 4096;

/// Adds one collective over the hosts of `who`, in group order. Rings as NCCL lays large ones out: between nodes over
/// every card with rings inside the nodes where the group has as many hosts in each node, one ring otherwise. An
/// all-reduce by trees or by halving and doubling does that between nodes in place of rings. A broadcast is a chain of
/// 8 pieces, an all-to-all pairwise. Returns an activity per host that ends with its part.
///
/// Stepwise up to kMostSteppedMessages, trees in 8 pieces; beyond, and for trees and halving and doubling over several
/// hosts a node, as flows that first wait for the latency of all steps: 2 (N-1) of a ring, 2 ceil(log2 N) of a tree or
/// of halving and doubling, 2 more where N is no power of two and the latter hands values over.
std::vector<int> AddGroupCollective(NetworkGraph* graph, const Topology& topology, const Participants& who,
                                    const plan::Collective& op, plan::collectives::Algorithm algorithm, int label);

/// Hosts of each node, where all nodes of the group have as many, next to each other; else 1.
int HostsPerNode(const Topology& topology, const std::vector<int>& hosts);

}  // namespace isochrone::sim::network
