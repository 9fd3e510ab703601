#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "sim/network/cluster_shape.h"

namespace isochrone::sim::network {

enum class VertexKind : std::uint8_t { kGpu, kNvSwitch, kPcieSwitch, kHostBridge, kNic, kLeaf, kSpine, kCore, kRouter };

/// "gpu", "nvswitch", "nic", "leaf", …
const char* NameOf(VertexKind kind);

/// `node` is -1 in the fabric. `index` counts vertices of a kind within the node, or within the fabric.
struct Vertex {
  VertexKind kind = VertexKind::kGpu;
  int node = -1;
  int index = 0;
};

/// One direction of a cable. `cost` orders routes: a route has the least sum, then at each vertex the lowest link.
struct Link {
  int from = 0, to = 0;
  BytesPerSecond bandwidth{0};
  Seconds latency{0};
  int cost = 1;
};

struct Route {
  std::vector<int> links;
  Seconds latency{0};
  BytesPerSecond bandwidth{0};  // of the narrowest link
};

/// A cluster as a graph of directed links, and the one route between each two GPUs.
///
/// A host is a GPU; hosts are numbered node by node. A route within a node stays in it. A route between nodes leaves
/// by the card that the GPU is affine to (the nearest live one, if that is cut off), crosses the fabric on a
/// shortest path and enters by the destination's card. GPUs and nodes pass no traffic of others, except a GPU that
/// owns the rail of CrossRail::kNvLink. Torus routes are dimension-ordered, dragonfly routes minimal.
class Topology {
 public:
  /// Throws Error where the description contradicts itself, or, naming the pair, where two hosts cannot reach each
  /// other.
  explicit Topology(const ClusterShape& shape);

  const ClusterShape& Shape() const { return shape_; }
  int Hosts() const { return shape_.nodes * shape_.node.gpus; }
  int NodeOf(int host) const { return host / shape_.node.gpus; }
  const std::vector<Vertex>& Vertices() const { return vertices_; }
  const std::vector<Link>& Links() const { return links_; }
  int HostVertex(int host) const { return host_vertex_[host]; }
  int NicVertex(int node, int nic) const { return nic_vertex_[node * shape_.node.nics + nic]; }

  std::string VertexName(int vertex) const;  // "node3.gpu0", "leaf1"
  std::string HostName(int host) const { return VertexName(HostVertex(host)); }
  std::string LinkName(int link) const;  // "node3.nic2 -> leaf1"

  /// Requires src != dst.
  Route RouteBetween(int src, int dst) const;

  /// Card that `host` leaves and enters by.
  int NicOf(int host) const;

 private:
  friend class TopologyBuilder;

  void FindCards();
  void FindFabricRoutes();
  void RefuseCutInside(int node) const;
  void RefuseCutBetween() const;
  [[noreturn]] void RefuseUnreachable(int src, int dst, const std::string& why) const;

  std::vector<int> DistancesTo(int dst, int first, int last) const;
  int NextLink(int vertex, const std::vector<int>& distance, int first) const;
  std::pair<int, int> VerticesOf(int node) const;  // first, one past the last
  void AppendInside(int src_vertex, int dst_vertex, std::vector<int>* links) const;
  void AppendBetween(int src, int dst, std::vector<int>* links) const;
  int RailOwner(int node, int nic) const;  // the first host of `node` on that rail, -1 when none
  bool RailsAreSeparate() const;
  int Attachment(int host) const;  // the fabric vertex behind the host's card, -1 when it has none

  ClusterShape shape_;
  std::vector<Vertex> vertices_;            // node by node, then the fabric
  std::vector<Link> links_;                 // a cable's two directions are neighbours, the even one first
  std::vector<int> out_begin_, out_links_;  // per vertex: its live outgoing links, ascending
  std::vector<int> host_vertex_, nic_vertex_;
  std::vector<int> nic_of_host_;  // vertex of the live card, -1 when none
  int first_fabric_vertex_ = 0;
  std::vector<std::vector<int>> next_link_;  // [to attachment][from fabric vertex], from the first fabric vertex
};

}  // namespace isochrone::sim::network
