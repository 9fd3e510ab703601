#include "sim/network/route_table.h"

#include <algorithm>
#include <numeric>

namespace isochrone::sim::network {

RouteTable::RouteTable(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by) : of_(graph.Size(), -1) {
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
  if (limit_by == LimitBy::kBindingLinks) DropImplied(topology);
}

namespace {

/// Hops of all routes, by link.
struct Crossings {
  Crossings(const std::vector<int>& links, int count) : first(count + 1, 0), hop(links.size()) {
    for (const int l : links) ++first[l + 1];
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<int> next(first.begin(), first.end() - 1);
    for (int h = 0; h < static_cast<int>(links.size()); ++h) hop[next[links[h]]++] = h;
  }
  std::vector<int> first, hop;
};

}  // namespace

// Wide links first, so that the narrow ones that imply them are still there. A link is dropped on account of kept ones
// only: should one of those be dropped later, then on account of others that imply both.
void RouteTable::DropImplied(const Topology& topology) {
  const std::vector<Link>& all = topology.Links();
  const Crossings crossings(links_, static_cast<int>(all.size()));
  std::vector<int> route_of(links_.size());
  for (int r = 0; r < Size(); ++r) std::fill(route_of.begin() + first_[r], route_of.begin() + first_[r + 1], r);
  std::vector<int> order;
  for (int l = 0; l < static_cast<int>(all.size()); ++l)
    if (crossings.first[l] < crossings.first[l + 1]) order.push_back(l);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return all[b].bandwidth < all[a].bandwidth; });

  std::vector<bool> kept(all.size(), true);
  std::vector<int> counted_for(all.size(), 0);
  int stamp = 0;
  // Whether the nearest kept links of all routes over `l`, looking in one direction, are together no wider than it.
  const auto implied = [&](int l, int direction) {
    ++stamp;
    double sum = 0;
    for (int i = crossings.first[l]; i < crossings.first[l + 1]; ++i) {
      int h = crossings.hop[i] + direction;
      const int route = route_of[crossings.hop[i]];
      while (h >= first_[route] && h < first_[route + 1] && !kept[links_[h]]) h += direction;
      if (h < first_[route] || h >= first_[route + 1]) return false;
      if (counted_for[links_[h]] == stamp) continue;
      counted_for[links_[h]] = stamp;
      sum += all[links_[h]].bandwidth.value;
      if (sum > all[l].bandwidth.value * (1 + 1e-12)) return false;
    }
    return true;
  };
  for (const int l : order) kept[l] = !implied(l, -1) && !implied(l, +1);
  KeepOnly(kept);
}

void RouteTable::KeepOnly(const std::vector<bool>& kept) {
  std::vector<int> links, first{0};
  for (int r = 0; r < Size(); ++r) {
    for (const int l : Links(r))
      if (kept[l]) links.push_back(l);
    first.push_back(static_cast<int>(links.size()));
  }
  links_ = std::move(links);
  first_ = std::move(first);
}

}  // namespace isochrone::sim::network
