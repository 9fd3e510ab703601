#pragma once

#include <functional>
#include <span>
#include <vector>

#include "sim/network/topology.h"

namespace simgrid::s4u {
class Host;
class Link;
class NetZone;
}  // namespace simgrid::s4u

namespace isochrone::sim::network {

/// A topology as SimGrid plays it: what every program under its engine, ours or MPI's, finds there.
///
/// SimGrid's CM02 shares a link in inverse proportion to the routes' latencies, which is not how equal cards behave. So
/// links have latency 0, each route ends in a link of latency 1 that is no bottleneck, and a factor, asked while a
/// message starts, is the true latency: all weights are equal and every latency is exact.
class SimGridZone {
 public:
  using LatencyOf = std::function<double(const simgrid::s4u::Host*, const simgrid::s4u::Host*)>;  // s

  /// Switches off what makes a transfer other than latency + size / bandwidth: by default it is off by 3 % to 19 %.
  /// Requires  an engine, without a zone yet
  SimGridZone(const Topology& topology, LatencyOf latency);

  /// The host, made when it is first asked for. Its computes never share.
  simgrid::s4u::Host* HostAt(int host);
  void AddRoute(int src, int dst, std::span<const int> links);
  /// No more hosts and routes.
  void Seal();

 private:
  const Topology& topology_;
  simgrid::s4u::NetZone* zone_;
  std::vector<simgrid::s4u::Host*> hosts_;
  std::vector<simgrid::s4u::Link*> links_, last_;  // of the topology; of each host, which carries the latency
};

}  // namespace isochrone::sim::network
