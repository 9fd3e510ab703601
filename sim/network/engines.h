#pragma once

#include "sim/network/network_graph.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// Which links divide their bandwidth.
enum class LimitBy {
  kEveryLink,
  // Without those that can never be the only full one: every message over link L also crosses one of some links before
  // it (or one of some links behind it) that together are no wider than L. Same rates, fewer links.
  kBindingLinks,
};

/// A message takes its extra latency, its route's latency, then its bytes at a rate that it shares max-min fairly
/// with every message then moving over a common link. All three engines agree where nothing is shared.
///
/// Requires  a graph without circles; every host is one of `topology`.

/// Our own flow-level simulation: MaxMinSolver, run again for the messages that a change can reach. The same input
/// gives the same bytes.
Played PlayWithMaxMin(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by = LimitBy::kBindingLinks);

/// SimGrid (Casanova et al., "Versatile, scalable, and accurate simulation of distributed applications and
/// platforms", JPDC 74(10), 2014), model CM02. It runs in a forked child, since its engine can exist once in a
/// process and its clock never returns to zero. Beyond 50,000 activities it updates lazily, which puts single messages
/// off by up to about a microsecond.
/// Throws    Error where the child was stopped, as for want of memory.
Played PlayWithSimGrid(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by = LimitBy::kBindingLinks);

/// Every message alone on the wire: extra latency + latency + bytes / narrowest link.
Played PlayUncontended(const NetworkGraph& graph, const Topology& topology);

}  // namespace isochrone::sim::network
