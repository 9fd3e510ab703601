#pragma once

#include <set>
#include <string>

#include "sim/network/topology.h"

namespace isochrone::sim::network {

/// Adds vertices and cables to a topology: its nodes, then its fabric, then what differs.
class TopologyBuilder {
 public:
  explicit TopologyBuilder(Topology* topology) : t_(*topology), shape_(topology->shape_) {}

  /// Throws Error where the description contradicts itself.
  void Build();

  /// Nodes with a cable that differs: the only ones that may be cut off inside, beside the first.
  const std::set<int>& ChangedNodes() const { return changed_nodes_; }

 private:
  void CheckNode() const;
  void CheckFabric() const;
  void AddNode(int node);
  void AddNvLinks(int node, int first_gpu);
  void AddFabric();
  void AddFatTree();
  void AddRails();
  void AddDragonfly();
  void AddTorus();
  void ApplyChanges();
  void IndexLiveLinks();

  int AddVertex(VertexKind kind, int node, int index);
  void AddCable(int a, int b, BytesPerSecond bandwidth, Seconds latency, int cost = 1);
  void AttachNode(int node, int fabric_vertex);
  BytesPerSecond NodeBandwidth() const;
  int FindVertex(const std::string& name, const std::string& where) const;
  [[noreturn]] void Refuse(const std::string& key, const std::string& what, const std::string& instead) const;

  Topology& t_;
  const ClusterShape& shape_;
  std::set<int> changed_nodes_;
};

}  // namespace isochrone::sim::network
