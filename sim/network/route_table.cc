#include "sim/network/route_table.h"

namespace isochrone::sim::network {

RouteTable::RouteTable(const NetworkGraph& graph, const Topology& topology) : of_(graph.Size(), -1) {
  std::unordered_map<std::int64_t, int> known;
  for (int i = 0; i < graph.Size(); ++i) {
    const Activity& a = graph.At(i);
    if (!a.IsMessage()) continue;
    const auto [at, is_new] = known.try_emplace(std::int64_t{a.src} * topology.Hosts() + a.dst, Size());
    of_[i] = at->second;
    if (!is_new) continue;
    const Route route = topology.RouteBetween(a.src, a.dst);
    links_.insert(links_.end(), route.links.begin(), route.links.end());
    first_.push_back(static_cast<int>(links_.size()));
    latency_.push_back(route.latency.value);
    bandwidth_.push_back(route.bandwidth.value);
    src_.push_back(a.src);
    dst_.push_back(a.dst);
  }
}

}  // namespace isochrone::sim::network
