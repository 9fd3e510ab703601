#pragma once

#include "base/units.h"
#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// Most bytes per second that the first half of the hosts can send to the second half at once, over any paths: the
/// maximum flow, which equals the narrowest cut between them.
/// Requires  at least two hosts
/// Source    Boykov & Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms", PAMI 26(9), 2004, as in
///           Boost.Graph. Capacities are rounded to whole bytes per second.
BytesPerSecond Bisection(const Topology& topology);

}  // namespace isochrone::sim::network
