#pragma once

#include "plan/scenario.h"
#include "sim/network/cluster_shape.h"

namespace isochrone::sim::network {

/// What messages reach of the data sheet's bandwidths; measured numbers come from the cost model.
struct LinkShares {
  double nic = 1, nvlink = 1;  // nvlink: of what joins the GPUs of a node, also where that is PCIe
};

/// The cluster as a network. Its "fabric" object may have, beside "kind":
///
///   single_switch      the default: one switch that never blocks
///   fat_tree           nodes_per_leaf, oversubscription (the cluster's)
///   fat_tree_3         nodes_per_leaf, oversubscription, leaves_per_pod, pod_oversubscription (1)
///   rails              nodes_per_leaf, oversubscription, cross_rail: "spine" or "nvlink"
///   dragonfly          nodes_per_router, routers_per_group, local_bandwidth_gb_per_s, global_bandwidth_gb_per_s
///   torus              dimensions, link_bandwidth_gb_per_s
///   any                cable_latency_us (0), gpus_per_pcie_switch (1), pcie_bandwidth_gb_per_s (the node's host
///                      bandwidth, its link's where GPUs meet over PCIe, or a card's if that is more), nic_of_gpu,
///                      changes: [{from, to, bandwidth_factor}]
///
/// A GPU's latency to a peer, and a card's from GPU to GPU, are those of the node; cables add theirs. A node is an
/// NVLink domain where that joins several servers.
/// Throws Error on unknown or missing keys, and for an oversubscribed cluster without a fabric.
ClusterShape ShapeOf(const plan::Cluster& cluster, const LinkShares& shares = {});

}  // namespace isochrone::sim::network
