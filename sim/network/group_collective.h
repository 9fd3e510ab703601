#pragma once

#include <vector>

#include "plan/op.h"
#include "sim/network/collective_graph.h"

namespace isochrone::sim::network {

/// Beyond so many messages a collective is a few fluid rings instead of steps.
inline constexpr int kMostSteppedMessages = 4096;

/// Adds one collective over the hosts of `who`, in group order, as NCCL lays large ones out: rings between nodes over
/// every card with rings inside the nodes where the group has as many hosts in each node, one ring otherwise. A
/// broadcast is a chain of 8 pieces, an all-to-all pairwise. Returns an activity per host that ends with its part.
///
/// bytes  as plan::Collective counts them
std::vector<int> AddGroupCollective(NetworkGraph* graph, const Topology& topology, const Participants& who,
                                    plan::CollectiveKind kind, Bytes bytes, int label);

/// Hosts of each node, where all nodes of the group have as many, next to each other; else 1.
int HostsPerNode(const Topology& topology, const std::vector<int>& hosts);

}  // namespace isochrone::sim::network
