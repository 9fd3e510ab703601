#pragma once

#include <vector>

#include "plan/collectives/step_list.h"
#include "sim/network/crossing.h"
#include "sim/network/network_graph.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// One collective to play: rank r of the group runs on hosts[r] and takes part once activity begin[r] has ended
/// (-1: at once).
struct Participants {
  std::vector<int> hosts;
  std::vector<int> begin;
};

/// Adds every message of `list`; returns, per rank, an activity that ends when the rank's part is over.
///
/// size  bytes of the whole buffer, as the list counts it
/// A message waits for both its ends to take part.
std::vector<int> AddSteps(NetworkGraph* graph, const plan::collectives::StepList& list, const Participants& who,
                          Bytes size, int label = 0);

/// Adds `hops` as flows that begin together, when all take part, and end together. `steps`: of the collective, one
/// after the other; each flow waits for as many times the slowest hop's latency before its bytes.
std::vector<int> AddFluidHops(NetworkGraph* graph, const Topology& topology, const Participants& who,
                              const std::vector<CrossingHop>& hops, int steps, int label = 0);

/// Adds a ring as one flow from each rank to the next, for rings too long to step through:
///
///   bytes per hop = steps size / n,  extra latency per hop = steps max_r latency_r - latency of the hop
///
/// steps   n - 1 for a reduce-scatter or all-gather, 2 (n - 1) for an all-reduce
/// Equal to the stepped ring where all hops share alike; beside slower hops, a fast one is done early instead of
/// waiting in every step, so it holds its links for a shorter time at a higher rate. All ranks begin and end together.
std::vector<int> AddFluidRing(NetworkGraph* graph, const Topology& topology, const Participants& who, Bytes size,
                              int steps, int label = 0);

}  // namespace isochrone::sim::network
