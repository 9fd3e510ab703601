#include "sim/network/crossing_groups.h"

#include <algorithm>

namespace isochrone::sim::network {

int CrossingGroups::Hops(int pipeline_rank) const {
  int hops = 0;
  for (const CrossingGroup& group : of_rank[pipeline_rank]) hops += static_cast<int>(group.hops.size());
  return hops;
}

const CrossingGroups& CrossingGroupTable::Of(const plan::Collective& op, plan::collectives::Algorithm algorithm) {
  const auto [at, is_new] = known_.try_emplace({op.group, op.kind, algorithm});
  if (is_new) at->second = Find(op, algorithm);
  return at->second;
}

bool CrossingGroupTable::SpansNodes(plan::Group group) {
  const auto [at, is_new] = spans_.try_emplace(group, false);
  for (int rank = 0; is_new && !at->second && rank < layout_.World(); ++rank) {
    for (const int member : plan::RanksOf(layout_, group, rank))
      at->second = at->second || topology_.NodeOf(host_of_rank_[member]) != topology_.NodeOf(host_of_rank_[rank]);
  }
  return at->second;
}

CrossingGroups CrossingGroupTable::Find(const plan::Collective& op, plan::collectives::Algorithm algorithm) const {
  const plan::Collective unit{op.kind, op.group, Bytes(1), op.dtype, 1};
  CrossingGroups found;
  found.of_rank.resize(layout_.pp);
  for (int rank = 0; rank < layout_.World(); ++rank) {
    CrossingGroup group{plan::RanksOf(layout_, op.group, rank), {}};
    if (group.ranks.front() != rank) continue;
    std::vector<int> hosts;
    for (const int member : group.ranks) hosts.push_back(host_of_rank_[member]);
    for (const CrossingHop& hop : CrossingHops(topology_, hosts, unit, algorithm)) {
      const int src = hosts[hop.src], dst = hosts[hop.dst];
      group.hops.push_back({src, dst, hop.bytes.value, topology_.RouteBetween(src, dst).latency});
    }
    if (!group.hops.empty()) found.of_rank[plan::CoordinatesOf(layout_, rank).pp].push_back(std::move(group));
  }
  found.seconds_per_byte = SecondsPerByte(found);
  return found;
}

double CrossingGroupTable::SecondsPerByte(const CrossingGroups& groups) const {
  std::vector<double> load(topology_.Links().size(), 0);
  for (const std::vector<CrossingGroup>& rank : groups.of_rank)
    for (const CrossingGroup& group : rank)
      for (const CrossingGroup::Hop& hop : group.hops)
        for (const int link : topology_.RouteBetween(hop.src, hop.dst).links) load[link] += hop.bytes;
  double most = 0;
  for (std::size_t l = 0; l < load.size(); ++l) {
    const Link& link = topology_.Links()[l];
    const bool in_fabric = topology_.Vertices()[link.from].node < 0 && topology_.Vertices()[link.to].node < 0;
    if (!in_fabric && load[l] > 0) most = std::max(most, load[l] / link.bandwidth.value);
  }
  return most;
}

}  // namespace isochrone::sim::network
