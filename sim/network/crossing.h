#pragma once

#include <vector>

#include "plan/collectives/algorithm.h"
#include "plan/op.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// What one host of a group sends to one in another node in the course of a collective.
struct CrossingHop {
  int src = 0, dst = 0;  // positions in the group
  Bytes bytes;
};

/// A collective as one flow for each pair of hosts in different nodes that speak to each other; empty inside a node.
/// With N nodes of p hosts each, every host speaks to those of its own place in other nodes, over its own card:
///
///                                 to                             bytes
///   all-gather, reduce-scatter    the next node                  (N-1)/N size / p
///   all-reduce, ring              the next node                  2 (N-1)/N size / p
///   all-reduce, tree              both trees' parent, children   size / (2 p) each way
///   all-reduce, halving-doubling  node ^ 2^i, i = 0, 1, …        2 size / (p 2^(log2 N - i)), first handed over by the
///                                                                nodes beyond a power of two: size / p each way
///   all-to-all                    every other node               size / N imbalance
///   broadcast                     the next node, not the first   size / p
///   ring (of attention blocks)    the next host of the group     size, where it is in another node
///
/// Where nodes hold different numbers of hosts, p is 1, N the number of hosts, and hops inside a node are left out.
///
/// bytes   as plan::Collective counts them
/// Source  as plan/collectives/algorithms.h
std::vector<CrossingHop> CrossingHops(const Topology& topology, const std::vector<int>& hosts,
                                      const plan::Collective& op, plan::collectives::Algorithm algorithm);

}  // namespace isochrone::sim::network
