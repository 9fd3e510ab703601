#include "sim/network/topology.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <set>

#include "base/error.h"
#include "sim/network/topology_builder.h"

namespace isochrone::sim::network {

namespace {

constexpr int kFar = std::numeric_limits<int>::max();

const char* const kKindNames[] = {"gpu", "nvswitch", "pcie", "bridge", "nic", "leaf", "spine", "core", "router"};

}  // namespace

const char* NameOf(VertexKind kind) { return kKindNames[static_cast<int>(kind)]; }

Topology::Topology(const ClusterShape& shape) : shape_(shape) {
  TopologyBuilder builder(this);
  builder.Build();
  FindCards();
  FindFabricRoutes();
  std::set<int> nodes = builder.ChangedNodes();
  nodes.insert(0);
  for (const int node : nodes) RefuseCutInside(node);
  if (shape_.nodes > 1) RefuseCutBetween();
}

std::string Topology::VertexName(int vertex) const {
  const Vertex& v = vertices_[vertex];
  const std::string name = NameOf(v.kind) + std::to_string(v.index);
  return v.node < 0 ? name : "node" + std::to_string(v.node) + "." + name;
}

std::string Topology::LinkName(int link) const {
  return VertexName(links_[link].from) + " -> " + VertexName(links_[link].to);
}

std::pair<int, int> Topology::VerticesOf(int node) const {
  const int gpus = shape_.node.gpus;
  return {host_vertex_[node * gpus], node + 1 < shape_.nodes ? host_vertex_[(node + 1) * gpus] : first_fabric_vertex_};
}

// Dijkstra from `dst` over the vertices [first, last). Cables are alike in both directions, so distances from `dst`
// are distances to it. Other GPUs are reached but pass nothing on.
std::vector<int> Topology::DistancesTo(int dst, int first, int last) const {
  std::vector<int> distance(last - first, kFar);
  using Entry = std::pair<int, int>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  distance[dst - first] = 0;
  queue.push({0, dst});
  while (!queue.empty()) {
    const auto [d, v] = queue.top();
    queue.pop();
    if (d > distance[v - first] || (vertices_[v].kind == VertexKind::kGpu && v != dst)) continue;
    for (int i = out_begin_[v]; i < out_begin_[v + 1]; ++i) {
      const Link& link = links_[out_links_[i]];
      if (link.to < first || link.to >= last || distance[link.to - first] <= d + link.cost) continue;
      distance[link.to - first] = d + link.cost;
      queue.push({d + link.cost, link.to});
    }
  }
  return distance;
}

int Topology::NextLink(int vertex, const std::vector<int>& distance, int first) const {
  const int last = first + static_cast<int>(distance.size());
  if (distance[vertex - first] == kFar) return -1;
  for (int i = out_begin_[vertex]; i < out_begin_[vertex + 1]; ++i) {
    const Link& link = links_[out_links_[i]];
    if (link.to < first || link.to >= last || distance[link.to - first] == kFar) continue;
    const bool passes = distance[link.to - first] == 0 || vertices_[link.to].kind != VertexKind::kGpu;
    if (passes && distance[link.to - first] + link.cost == distance[vertex - first]) return out_links_[i];
  }
  return -1;
}

void Topology::FindCards() {
  nic_of_host_.assign(Hosts(), -1);
  if (shape_.nodes == 1 || shape_.node.nics == 0) return;
  const NodeShape& n = shape_.node;
  for (int host = 0; host < Hosts(); ++host) {
    const int node = NodeOf(host), gpu = host % n.gpus;
    const int wanted = n.nic_of_gpu.empty() ? gpu * n.nics / n.gpus : n.nic_of_gpu[gpu];
    const auto [first, last] = VerticesOf(node);
    const std::vector<int> distance = DistancesTo(host_vertex_[host], first, last);
    int nearest = kFar;
    for (int i = 0; i < n.nics; ++i) {
      const int nic = NicVertex(node, (wanted + i) % n.nics);
      const bool cabled =
          out_begin_[nic + 1] > out_begin_[nic] && links_[out_links_[out_begin_[nic + 1] - 1]].to >= last;
      const int away = i == 0 && distance[nic - first] != kFar ? -1 : distance[nic - first];
      if (!cabled || away >= nearest) continue;
      nearest = away;
      nic_of_host_[host] = nic;
    }
  }
}

int Topology::Attachment(int host) const {
  const int nic = nic_of_host_[host];
  return nic < 0 ? -1 : links_[out_links_[out_begin_[nic + 1] - 1]].to;
}

int Topology::NicOf(int host) const { return nic_of_host_[host] < 0 ? -1 : vertices_[nic_of_host_[host]].index; }

void Topology::FindFabricRoutes() {
  const int first = first_fabric_vertex_, last = static_cast<int>(vertices_.size());
  next_link_.resize(last - first);
  for (int host = 0; host < Hosts(); ++host) {
    const int dst = Attachment(host);
    if (dst < 0 || !next_link_[dst - first].empty()) continue;
    const std::vector<int> distance = DistancesTo(dst, first, last);
    std::vector<int>& next = next_link_[dst - first];
    for (int v = first; v < last; ++v) next.push_back(NextLink(v, distance, first));
  }
}

void Topology::AppendInside(int src, int dst, std::vector<int>* links) const {
  const auto [first, last] = VerticesOf(vertices_[src].node);
  const std::vector<int> distance = DistancesTo(dst, first, last);
  for (int v = src; v != dst;) {
    const int link = NextLink(v, distance, first);
    links->push_back(link);
    v = links_[link].to;
  }
}

void Topology::AppendBetween(int src, int dst, std::vector<int>* links) const {
  const int nic_src = nic_of_host_[src], nic_dst = nic_of_host_[dst];
  AppendInside(host_vertex_[src], nic_src, links);
  links->push_back(out_links_[out_begin_[nic_src + 1] - 1]);
  const int end = Attachment(dst);
  const std::vector<int>& next = next_link_[end - first_fabric_vertex_];
  for (int v = Attachment(src); v != end; v = links_[links->back()].to)
    links->push_back(next[v - first_fabric_vertex_]);
  links->push_back(out_links_[out_begin_[nic_dst + 1] - 1] ^ 1);  // a cable's two directions are neighbours
  AppendInside(nic_dst, host_vertex_[dst], links);
}

int Topology::RailOwner(int node, int nic) const {
  for (int gpu = 0; gpu < shape_.node.gpus; ++gpu)
    if (NicOf(node * shape_.node.gpus + gpu) == nic) return node * shape_.node.gpus + gpu;
  return -1;
}

bool Topology::RailsAreSeparate() const {
  return shape_.fabric.kind == FabricKind::kRailOptimised && shape_.fabric.cross_rail == CrossRail::kNvLink;
}

Route Topology::RouteBetween(int src, int dst) const {
  ISO_CHECK(src != dst);
  Route route;
  if (NodeOf(src) == NodeOf(dst)) {
    AppendInside(host_vertex_[src], host_vertex_[dst], &route.links);
  } else if (RailsAreSeparate() && NicOf(src) != NicOf(dst)) {
    const int owner = RailOwner(NodeOf(src), NicOf(dst));
    AppendInside(host_vertex_[src], host_vertex_[owner], &route.links);
    AppendBetween(owner, dst, &route.links);
  } else {
    AppendBetween(src, dst, &route.links);
  }
  route.bandwidth = links_[route.links.front()].bandwidth;
  for (const int l : route.links) {
    route.latency += links_[l].latency;
    route.bandwidth = Min(route.bandwidth, links_[l].bandwidth);
  }
  return route;
}

void Topology::RefuseUnreachable(int src, int dst, const std::string& why) const {
  throw Error(shape_.name, HostName(src) + " cannot reach " + HostName(dst) + ": " + why,
              "join them by a cable, or take them out of the cluster");
}

void Topology::RefuseCutInside(int node) const {
  const int first = node * shape_.node.gpus;
  for (int h = 1; h < shape_.node.gpus; ++h) {
    const auto [begin, end] = VerticesOf(node);
    const std::vector<int> distance = DistancesTo(host_vertex_[first + h], begin, end);
    for (int g = 0; g < h; ++g)
      if (distance[host_vertex_[first + g] - begin] == kFar)
        RefuseUnreachable(first + g, first + h, "no path of live links joins them inside their node");
  }
}

void Topology::RefuseCutBetween() const {
  const int gpus = shape_.node.gpus;
  for (int host = 0; host < Hosts(); ++host)
    if (Attachment(host) < 0) {
      const int other = NodeOf(host) == 0 ? gpus : 0;
      RefuseUnreachable(std::min(host, other), std::max(host, other),
                        HostName(host) + " has no live card that is cabled to the fabric");
    }
  if (RailsAreSeparate()) {
    for (int host = gpus; host < Hosts(); ++host) {
      if (RailOwner(0, NicOf(host)) < 0)
        RefuseUnreachable(0, host, "no GPU of node0 owns rail " + std::to_string(NicOf(host)));
      if (RailOwner(NodeOf(host), NicOf(host % gpus)) < 0)
        RefuseUnreachable(host, host % gpus, "no GPU of its node owns rail " + std::to_string(NicOf(host % gpus)));
    }
  }
  std::vector<int> representatives;  // one host for each fabric vertex (and rail) that cards attach to
  std::set<int> seen;
  for (int host = 0; host < Hosts(); ++host)
    if (seen.insert(Attachment(host)).second) representatives.push_back(host);
  for (const int src : representatives)
    for (const int dst : representatives) {
      const int from = Attachment(src) - first_fabric_vertex_, to = Attachment(dst) - first_fabric_vertex_;
      if (from == to || (RailsAreSeparate() && NicOf(src) != NicOf(dst)) || next_link_[to][from] >= 0) continue;
      RefuseUnreachable(
          src, dst,
          "no path of live links joins " + VertexName(Attachment(src)) + " and " + VertexName(Attachment(dst)));
    }
}

}  // namespace isochrone::sim::network
