#pragma once

#include <vector>

#include "sim/network/network_graph.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// What one label (kind of traffic) put on a link.
struct LabelLoad {
  int label = 0;
  int messages = 0;
  Bytes bytes;
};

struct LinkLoad {
  int link = 0;  // of Topology::Links
  Bytes bytes;
  Seconds delay;   // by which its messages ended later than alone, summed over those that it is to blame for
  Seconds busy;    // with at least one message under way
  Seconds shared;  // with at least two
  Seconds first_shared, last_shared;
  int most_at_once = 0;
  std::vector<LabelLoad> labels;  // most bytes first
};

/// Which links delayed messages, when, and who shared them: the `most` links with the longest delay, then with the most
/// bytes for their bandwidth. A message occupies all its links from the end of its latency to its own end; what it lost
/// against being alone is booked on the link of its route with the most bytes of its label for its bandwidth.
std::vector<LinkLoad> LoadsOf(const NetworkGraph& graph, const Topology& topology, const Played& played, int most);

/// All links from one kind of vertex to another: "nic -> leaf".
struct TierLoad {
  VertexKind from = VertexKind::kGpu, to = VertexKind::kGpu;
  int links = 0;
  Bytes bytes;               // over all of them
  BytesPerSecond bandwidth;  // of all of them
  double most_utilised = 0;  // bytes of its fullest link over what that carries in the step
  double Utilisation(Seconds step) const { return bytes / bandwidth / step; }
};

/// The tiers that carried something, from the GPUs outwards, up before down.
std::vector<TierLoad> TiersOf(const NetworkGraph& graph, const Topology& topology, Seconds step);

}  // namespace isochrone::sim::network
