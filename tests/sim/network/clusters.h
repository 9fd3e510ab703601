#pragma once

#include "sim/network/cluster_shape.h"

namespace isochrone::sim::network {

/// Nodes of 8 GPUs with round numbers: NVLink 300 GB/s, PCIe 25 GB/s, one card of 25 GB/s a GPU with its own PCIe
/// switch. From GPU to GPU: 2 us inside a node; between nodes 4 PCIe links or cards of 0.5 us, and 0.25 us a cable.
inline ClusterShape EightGpuNodes(int nodes) {
  ClusterShape shape;
  shape.nodes = nodes;
  shape.node.nvlink_bandwidth = BytesPerSecond(300e9);
  shape.node.nvlink_latency = Seconds(2e-6);
  shape.node.gpus_per_pcie_switch = 1;
  shape.node.pcie_bandwidth = BytesPerSecond(25e9);
  shape.node.pcie_latency = Seconds(0.5e-6);
  shape.node.nic_bandwidth = BytesPerSecond(25e9);
  shape.node.nic_latency = Seconds(0.5e-6);
  shape.fabric.cable_latency = Seconds(0.25e-6);
  return shape;
}

/// `hosts` GPUs, one a node, behind one switch: every GPU has a port of 25 GB/s each way, 2.5 us from end to end.
inline ClusterShape Crossbar(int hosts) {
  ClusterShape shape = EightGpuNodes(hosts);
  shape.node.gpus = shape.node.nics = 1;
  return shape;
}

}  // namespace isochrone::sim::network
