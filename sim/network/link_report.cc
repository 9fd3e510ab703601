#include "sim/network/link_report.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/network/route_table.h"

namespace isochrone::sim::network {

namespace {

constexpr double kRounding = 1e-6;  // of a message's time alone

struct Under {
  double time;
  int change;  // +1: a message enters, -1: it has left
  bool operator<(const Under& o) const { return std::tie(time, change) < std::tie(o.time, o.change); }
};

/// Sweeps over the instants at which messages enter and leave a link.
void MeasureSharing(std::vector<Under>* instants, LinkLoad* load) {
  std::sort(instants->begin(), instants->end());
  int now = 0;
  double since = 0;
  bool was_shared = false;
  for (const Under& u : *instants) {
    const Seconds passed(u.time - since);
    if (now >= 1) load->busy += passed;
    if (now >= 2 && passed.value > 0) {
      load->shared += passed;
      if (!was_shared) load->first_shared = Seconds(since);
      was_shared = true;
      load->last_shared = Seconds(u.time);
    }
    now += u.change;
    since = u.time;
    load->most_at_once = std::max(load->most_at_once, now);
  }
}

/// Bytes of each label on each link.
class LabelBytes {
 public:
  LabelBytes(const NetworkGraph& graph, const RouteTable& routes, std::size_t links) : links_(links) {
    for (int i = 0; i < graph.Size(); ++i) {
      if (routes.Of(i) < 0) continue;
      const auto [at, is_new] = index_.try_emplace(graph.At(i).label, static_cast<int>(index_.size()));
      if (is_new) bytes_.resize(index_.size() * links_, 0.0);
      for (const int l : routes.Links(routes.Of(i))) bytes_[at->second * links_ + l] += graph.At(i).amount;
    }
  }
  double Of(int label, int link) const { return bytes_[index_.at(label) * links_ + link]; }
  double Of(int link) const {
    double sum = 0;
    for (std::size_t k = 0; k < index_.size(); ++k) sum += bytes_[k * links_ + link];
    return sum;
  }

 private:
  std::size_t links_;
  std::map<int, int> index_;
  std::vector<double> bytes_;  // [label][link]
};

}  // namespace

std::vector<LinkLoad> LoadsOf(const NetworkGraph& graph, const Topology& topology, const Played& played, int most) {
  const RouteTable routes(graph, topology, LimitBy::kEveryLink);
  const std::vector<Link>& links = topology.Links();
  const LabelBytes bytes(graph, routes, links.size());
  std::vector<LinkLoad> loads(links.size());
  for (std::size_t l = 0; l < links.size(); ++l) loads[l].bytes = Bytes(bytes.Of(static_cast<int>(l)));
  const auto pressure = [&](int l) { return loads[l].bytes / links[l].bandwidth; };
  for (int i = 0; i < graph.Size(); ++i) {
    const int r = routes.Of(i);
    if (r < 0) continue;
    const Activity& a = graph.At(i);
    const double alone = a.extra_latency + routes.Latency(r) + a.amount / routes.Bandwidth(r);
    const Seconds late = played.end[i] - played.start[i] - Seconds(alone);
    if (late.value <= kRounding * alone) continue;
    const auto path = routes.Links(r);
    const auto own = [&](int l) { return bytes.Of(a.label, l) / links[l].bandwidth.value; };
    loads[*std::max_element(path.begin(), path.end(), [&](int x, int y) { return own(x) < own(y); })].delay += late;
  }

  std::vector<int> order;
  for (int l = 0; l < static_cast<int>(links.size()); ++l) {
    loads[l].link = l;
    if (loads[l].bytes.value > 0) order.push_back(l);
  }
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    if (loads[a].delay != loads[b].delay) return loads[b].delay < loads[a].delay;
    return pressure(b) < pressure(a);
  });
  order.resize(std::min<std::size_t>(order.size(), most));

  std::vector<int> reported(links.size(), -1);
  for (std::size_t k = 0; k < order.size(); ++k) reported[order[k]] = static_cast<int>(k);
  std::vector<std::vector<Under>> instants(order.size());
  std::vector<std::map<int, LabelLoad>> labels(order.size());
  for (int i = 0; i < graph.Size(); ++i) {
    const int r = routes.Of(i);
    if (r < 0) continue;
    const Activity& a = graph.At(i);
    for (const int l : routes.Links(r)) {
      if (reported[l] < 0) continue;
      instants[reported[l]].push_back({played.start[i].value + a.extra_latency + routes.Latency(r), +1});
      instants[reported[l]].push_back({played.end[i].value, -1});
      LabelLoad& label = labels[reported[l]][a.label];
      label.label = a.label;
      ++label.messages;
      label.bytes += Bytes(a.amount);
    }
  }
  std::vector<LinkLoad> result;
  for (std::size_t k = 0; k < order.size(); ++k) {
    result.push_back(loads[order[k]]);
    MeasureSharing(&instants[k], &result.back());
    for (const auto& [unused, label] : labels[k]) result.back().labels.push_back(label);
    std::stable_sort(result.back().labels.begin(), result.back().labels.end(),
                     [](const LabelLoad& a, const LabelLoad& b) { return b.bytes < a.bytes; });
  }
  return result;
}

std::vector<TierLoad> TiersOf(const NetworkGraph& graph, const Topology& topology, Seconds step) {
  const RouteTable routes(graph, topology, LimitBy::kEveryLink);
  const std::vector<Link>& links = topology.Links();
  std::vector<double> bytes(links.size(), 0);
  for (int i = 0; i < graph.Size(); ++i)
    if (routes.Of(i) >= 0)
      for (const int l : routes.Links(routes.Of(i))) bytes[l] += graph.At(i).amount;

  std::map<std::pair<VertexKind, VertexKind>, TierLoad> tiers;
  for (std::size_t l = 0; l < links.size(); ++l) {
    const VertexKind from = topology.Vertices()[links[l].from].kind, to = topology.Vertices()[links[l].to].kind;
    TierLoad& tier = tiers[{from, to}];
    tier.from = from;
    tier.to = to;
    ++tier.links;
    tier.bytes += Bytes(bytes[l]);
    tier.bandwidth += links[l].bandwidth;
    if (links[l].bandwidth.value > 0)
      tier.most_utilised = std::max(tier.most_utilised, Bytes(bytes[l]) / links[l].bandwidth / step);
  }
  std::vector<TierLoad> used;
  for (const auto& [unused, tier] : tiers)
    if (tier.bytes.value > 0) used.push_back(tier);
  return used;
}

}  // namespace isochrone::sim::network
