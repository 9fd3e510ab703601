#include "sim/network/cluster.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::sim::network {

namespace {

constexpr int kManyNodes = 1'000'000;
constexpr double kWidest = 1e6, kLongest = 1e6;  // GB/s, us

Inside InsideOf(plan::NodeLink link) {
  switch (link) {
    case plan::NodeLink::kNvswitch:
      return Inside::kNvSwitch;
    case plan::NodeLink::kNvlinkMesh:
      return Inside::kNvLinkMesh;
    case plan::NodeLink::kNvlinkPairs:
      return Inside::kNvLinkPairs;
    case plan::NodeLink::kPcie:
    case plan::NodeLink::kNone:
      return Inside::kPcie;
  }
  ISO_CHECK(false);
  return Inside::kPcie;
}

class FabricReader {
 public:
  FabricReader(const Json& json, ClusterShape* shape) : json_(json), shape_(*shape) {}

  void Read() {
    static const std::vector<std::string> names = {"single_switch", "fat_tree",  "fat_tree_3",
                                                   "rails",         "dragonfly", "torus"};
    const std::size_t kind = json_.At("kind").OneOf(names);
    shape_.fabric.kind = static_cast<FabricKind>(kind);
    std::vector<std::string> known = {
        "kind",    "cable_latency_us", "gpus_per_pcie_switch", "pcie_bandwidth_gb_per_s", "nic_of_gpu",
        "changes", "sources"};
    const std::vector<std::string> own = ReadKind();
    known.insert(known.end(), own.begin(), own.end());
    json_.Allow(known);
    ReadAny();
  }

 private:
  int Whole(const char* key) const { return static_cast<int>(json_.At(key).Int(1, kManyNodes)); }
  BytesPerSecond Bandwidth(const char* key) const {
    return BytesPerSecond(json_.At(key).Number(1e-3, kWidest) * kGiga);
  }

  void ReadLeaf() {
    shape_.fabric.nodes_per_leaf = Whole("nodes_per_leaf");
    if (const auto factor = json_.Find("oversubscription")) shape_.fabric.oversubscription = factor->Number(1e-3, 1000);
  }

  std::vector<std::string> ReadKind() {
    FabricShape& f = shape_.fabric;
    switch (f.kind) {
      case FabricKind::kSingleSwitch:
        return {};
      case FabricKind::kFatTree2:
        ReadLeaf();
        return {"nodes_per_leaf", "oversubscription"};
      case FabricKind::kFatTree3:
        ReadLeaf();
        f.leaves_per_pod = Whole("leaves_per_pod");
        if (const auto factor = json_.Find("pod_oversubscription")) f.pod_oversubscription = factor->Number(1e-3, 1000);
        return {"nodes_per_leaf", "oversubscription", "leaves_per_pod", "pod_oversubscription"};
      case FabricKind::kRailOptimised:
        ReadLeaf();
        f.cross_rail = static_cast<CrossRail>(json_.At("cross_rail").OneOf({"spine", "nvlink"}));
        return {"nodes_per_leaf", "oversubscription", "cross_rail"};
      case FabricKind::kDragonfly:
        f.nodes_per_router = Whole("nodes_per_router");
        f.routers_per_group = Whole("routers_per_group");
        f.local_bandwidth = Bandwidth("local_bandwidth_gb_per_s");
        f.global_bandwidth = Bandwidth("global_bandwidth_gb_per_s");
        return {"nodes_per_router", "routers_per_group", "local_bandwidth_gb_per_s", "global_bandwidth_gb_per_s"};
      case FabricKind::kTorus:
        for (const Json& size : json_.At("dimensions").Items())
          f.dimensions.push_back(static_cast<int>(size.Int(1, kManyNodes)));
        f.torus_bandwidth = Bandwidth("link_bandwidth_gb_per_s");
        return {"dimensions", "link_bandwidth_gb_per_s"};
    }
    ISO_CHECK(false);
    return {};
  }

  void ReadAny() {
    NodeShape& node = shape_.node;
    if (const auto latency = json_.Find("cable_latency_us"))
      shape_.fabric.cable_latency = Seconds(latency->Number(0, kLongest) / kMega);
    if (json_.Has("gpus_per_pcie_switch")) node.gpus_per_pcie_switch = Whole("gpus_per_pcie_switch");
    if (json_.Has("pcie_bandwidth_gb_per_s")) node.pcie_bandwidth = Bandwidth("pcie_bandwidth_gb_per_s");
    if (const auto cards = json_.Find("nic_of_gpu"))
      for (const Json& card : cards->Items()) node.nic_of_gpu.push_back(static_cast<int>(card.Int(0, kManyNodes)));
    if (const auto changes = json_.Find("changes"))
      for (const Json& change : changes->Items()) {
        change.Allow({"from", "to", "bandwidth_factor"});
        shape_.changes.push_back(
            {change.At("from").String(), change.At("to").String(), change.At("bandwidth_factor").Number(0, 1000)});
      }
  }

  const Json& json_;
  ClusterShape& shape_;
};

}  // namespace

ClusterShape ShapeOf(const plan::Cluster& cluster, const LinkShares& shares) {
  const plan::Node& from = cluster.node;
  const int servers = std::max(1, plan::DomainGpusUsed(from, cluster.Gpus()) / from.gpus);  // of one NVLink domain
  ClusterShape shape;
  shape.name = cluster.name;
  shape.nodes = (cluster.nodes + servers - 1) / servers;
  shape.node.gpus = from.gpus * servers;
  shape.node.inside = from.gpus == 1 && servers == 1 ? Inside::kPcie : InsideOf(from.link);
  shape.node.nvlink_bandwidth = from.link_bandwidth * shares.nvlink;
  shape.node.nvlink_latency = from.link_latency;
  shape.node.gpus_per_pcie_switch = 1;
  shape.node.nics = from.nics * servers;
  shape.node.nic_bandwidth = from.nic_bandwidth * shares.nic;
  shape.node.nic_latency = from.nic_latency / 2;  // a message passes two cards
  const bool by_pcie = shape.node.inside == Inside::kPcie && shape.node.gpus > 1;
  shape.node.pcie_bandwidth =
      Max(by_pcie ? from.link_bandwidth * shares.nvlink : from.host_bandwidth, from.nic_bandwidth);
  shape.fabric.oversubscription = cluster.oversubscription;
  if (!cluster.fabric_json.empty()) {
    const Json json = Json::Text(cluster.fabric_json, cluster.name + ": fabric");
    FabricReader(json, &shape).Read();
  } else if (cluster.oversubscription > 1 && shape.nodes > 1) {
    throw Error(cluster.name, "is oversubscribed, but says not where",
                "add \"fabric\": {\"kind\": \"fat_tree\", \"nodes_per_leaf\": 16}");
  }
  return shape;
}

}  // namespace isochrone::sim::network
