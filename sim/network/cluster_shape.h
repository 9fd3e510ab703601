#pragma once

#include <string>
#include <vector>

#include "base/units.h"

namespace isochrone::sim::network {

/// How the GPUs of a node reach each other.
enum class Inside {
  kNvSwitch,     // every GPU has one port into a switch that never blocks
  kNvLinkMesh,   // every pair of GPUs has its own cable; a GPU's bandwidth divides over its peers
  kNvLinkPairs,  // GPUs 2i and 2i+1 share a bridge; the others meet over PCIe
  kPcie,         // PCIe only
};

/// A node: GPUs, what joins them, and network cards. Every GPU also hangs on a PCIe switch, the PCIe switches on one
/// host bridge; a card hangs on the PCIe switch of the first GPU that uses it. Bandwidths count one direction.
struct NodeShape {
  int gpus = 8;
  Inside inside = Inside::kNvSwitch;
  BytesPerSecond nvlink_bandwidth{0};  // of one GPU, over all its NVLink cables
  Seconds nvlink_latency{0};           // from GPU to GPU
  int gpus_per_pcie_switch = 2;
  BytesPerSecond pcie_bandwidth{0};  // of each PCIe link
  Seconds pcie_latency{0};           // of each PCIe link
  int nics = 8;
  BytesPerSecond nic_bandwidth{0};  // of each card and its cable
  Seconds nic_latency{0};           // from the PCIe switch into the card, and out again: counted at both ends
  std::vector<int> nic_of_gpu;      // affinity; empty: GPU g uses card g nics / gpus
};

enum class FabricKind { kSingleSwitch, kFatTree2, kFatTree3, kRailOptimised, kDragonfly, kTorus };

/// How a message gets to another rail of a rail-optimised fabric.
enum class CrossRail {
  kSpine,   // out on the own rail and over the spine
  kNvLink,  // over NVLink to the GPU that owns the rail, then out (NCCL calls it PXN); rails have separate spines
};

/// What joins the nodes. A stage of parallel uplinks is one trunk of their summed bandwidth: adaptive routing, as
/// InfiniBand and Slingshot do it, so hash collisions between equal paths are absent.
struct FabricShape {
  FabricKind kind = FabricKind::kSingleSwitch;
  Seconds cable_latency{0};  // of each link that enters a switch from a card or a switch, or leaves one
  // fat tree (kFatTree2, kFatTree3), rails: a leaf serves so many nodes
  int nodes_per_leaf = 0;
  double oversubscription = 1;  // bandwidth below a leaf over bandwidth above it
  // kFatTree3: a pod joins so many leaves
  int leaves_per_pod = 0;
  double pod_oversubscription = 1;  // bandwidth below a pod's spine over bandwidth above it
  CrossRail cross_rail = CrossRail::kSpine;
  // kDragonfly: routers of a group are joined pair by pair, groups too
  int nodes_per_router = 0;
  int routers_per_group = 0;
  BytesPerSecond local_bandwidth{0};   // of each pair of routers in a group
  BytesPerSecond global_bandwidth{0};  // of each pair of groups
  // kTorus: one router per node, at coordinates with the first dimension slowest
  std::vector<int> dimensions;
  BytesPerSecond torus_bandwidth{0};  // of each link between neighbours
};

/// A cable that differs from its description. `from` and `to` name its ends as `Topology::VertexName` does
/// ("node3.nic2", "leaf1"); the change holds in both directions.
struct LinkChange {
  std::string from, to;
  double bandwidth_factor = 1;  // 0 cuts the link
};

struct ClusterShape {
  std::string name = "cluster";
  NodeShape node;
  int nodes = 1;
  FabricShape fabric;
  std::vector<LinkChange> changes;
};

}  // namespace isochrone::sim::network
