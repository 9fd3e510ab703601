// GPUs, nodes and clusters. Units stand in the keys of the files and end here: everything inside is SI.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "plan/readers.h"
#include "plan/scenario.h"
#include "plan/scenario_names.h"

namespace isochrone::plan {
namespace {

constexpr int kMaxGpusPerNode = 1024, kMaxNodes = 100'000;
constexpr double kGigabit = 1e9 / 8;  // bytes a second in one Gbit/s

double Positive(const Fields& fields, const char* key, double most) { return fields.At(key).Number(1e-9, most); }

/// A rate that hardware without the format leaves out.
FlopsPerSecond Rate(const Fields& fields, const char* key) {
  const auto value = fields.Find(key);
  return FlopsPerSecond(value ? value->Number(1e-3, 1e9) * kTera : 0);
}

void ReadNvme(const Fields& fields, Node& node) {
  const auto nvme = fields.Find("nvme");
  if (!nvme) return;
  nvme->Allow({"capacity_tb", "read_gb_per_s", "write_gb_per_s"});
  node.nvme = Bytes(nvme->At("capacity_tb").Number(1e-3, 1e6) * kTera);
  node.nvme_read = BytesPerSecond(nvme->At("read_gb_per_s").Number(1e-3, 1e6) * kGiga);
  node.nvme_write = BytesPerSecond(nvme->At("write_gb_per_s").Number(1e-3, 1e6) * kGiga);
}

void ReadNics(const Fields& fields, Node& node) {
  node.nics = static_cast<int>(fields.At("nics").Int(0, 4096));
  if (node.nics == 0) return;
  node.nic_bandwidth = BytesPerSecond(Positive(fields, "nic_bandwidth_gbit_per_s", 1e6) * kGigabit);
  node.nic_latency = Seconds(Positive(fields, "nic_latency_us", 1e6) * 1e-6);
}

void ReadLinks(const Fields& fields, Node& node) {
  const Json link = fields.At("link");
  node.link = static_cast<NodeLink>(link.OneOf(NodeLinkNames()));
  node.host_bandwidth = BytesPerSecond(Positive(fields, "host_bandwidth_gb_per_s", 1e6) * kGiga);
  node.link_latency = Seconds(Positive(fields, "link_latency_us", 1e6) * 1e-6);
  switch (node.link) {
    case NodeLink::kNvswitch:
    case NodeLink::kNvlinkMesh:
    case NodeLink::kNvlinkPairs:
      node.link_bandwidth = node.gpu.nvlink_bandwidth;
      if (node.link_bandwidth.value == 0)
        link.Fail("needs NVLink, which " + node.gpu.name + " lacks", "write \"pcie\"");
      break;
    case NodeLink::kPcie:
      node.link_bandwidth = node.host_bandwidth;
      break;
    case NodeLink::kNone:
      if (node.gpus > 1) link.Fail("leaves " + std::to_string(node.gpus) + " GPUs unconnected", "write \"pcie\"");
      break;
  }
}

}  // namespace

Gpu GpuFrom(const Fields& fields) {
  fields.Allow({"base", "name", "architecture", "fp64_tflops", "fp32_tflops", "tf32_dense_tflops", "fp16_dense_tflops",
                "bf16_dense_tflops", "fp8_dense_tflops", "fp4_dense_tflops", "int8_dense_tops", "hbm_capacity_gib",
                "hbm_bandwidth_gb_per_s", "nvlink_bandwidth_gb_per_s", "l2_cache_mib", "multiprocessors",
                "boost_clock_mhz", "power_w", "sources"});
  static const std::vector<std::string> architectures = {"maxwell", "volta",  "turing",    "ampere",
                                                         "ada",     "hopper", "blackwell", "cpu"};
  Gpu gpu;
  gpu.name = fields.At("name").String();
  gpu.architecture = architectures[fields.At("architecture").OneOf(architectures)];
  gpu.fp64 = Rate(fields, "fp64_tflops");
  gpu.fp32 = FlopsPerSecond(Positive(fields, "fp32_tflops", 1e9) * kTera);
  gpu.tf32 = Rate(fields, "tf32_dense_tflops");
  gpu.fp16 = Rate(fields, "fp16_dense_tflops");
  gpu.bf16 = Rate(fields, "bf16_dense_tflops");
  gpu.fp8 = Rate(fields, "fp8_dense_tflops");
  gpu.fp4 = Rate(fields, "fp4_dense_tflops");
  gpu.int8 = Rate(fields, "int8_dense_tops");
  gpu.memory = Bytes(Positive(fields, "hbm_capacity_gib", 1e6) * kGibi);
  gpu.memory_bandwidth = BytesPerSecond(Positive(fields, "hbm_bandwidth_gb_per_s", 1e9) * kGiga);
  if (const auto nvlink = fields.Find("nvlink_bandwidth_gb_per_s")) {
    gpu.nvlink_bandwidth = BytesPerSecond(nvlink->Number(1e-3, 1e6) * kGiga);
  }
  gpu.l2_cache = Bytes(Positive(fields, "l2_cache_mib", 1e6) * kMebi);
  gpu.multiprocessors = static_cast<int>(fields.At("multiprocessors").Int(1, 100'000));
  gpu.boost_clock_hz = Positive(fields, "boost_clock_mhz", 1e6) * kMega;
  gpu.power_w = Positive(fields, "power_w", 1e6);
  return gpu;
}

Node NodeFrom(const Part& part) {
  const Fields& fields = part.fields;
  fields.Allow({"base", "name", "gpu", "gpus", "link", "link_latency_us", "domain_gpus", "nics",
                "nic_bandwidth_gbit_per_s", "nic_latency_us", "host_memory_gib", "host_bandwidth_gb_per_s", "nvme",
                "sources"});
  Node node;
  node.name = fields.At("name").String();
  const Json gpu = fields.At("gpu");
  node.gpu = GpuFrom(PartOf(gpu, part.PlaceOf(gpu), ReadJson).fields);
  node.gpus = static_cast<int>(fields.At("gpus").Int(1, kMaxGpusPerNode));
  ReadLinks(fields, node);
  const Json domain = fields.At("domain_gpus");
  node.domain_gpus = static_cast<int>(domain.Int(1, kMaxGpusPerNode));
  if (node.domain_gpus > node.gpus ? node.domain_gpus % node.gpus != 0 : node.gpus % node.domain_gpus != 0) {
    domain.Fail("must divide, or be a multiple of, gpus = " + std::to_string(node.gpus),
                "use " + std::to_string(node.gpus) + " where one server is one NVLink domain");
  }
  ReadNics(fields, node);
  node.host_memory = Bytes(Positive(fields, "host_memory_gib", 1e9) * kGibi);
  ReadNvme(fields, node);
  return node;
}

Cluster ClusterFrom(const Json& value, const Found& beside) {
  const Part part = PartOf(value, beside, ReadJson);
  const Fields& fields = part.fields;
  fields.Allow({"base", "name", "node", "nodes", "oversubscription", "fabric", "sources"});
  Cluster cluster;
  const Json node = fields.At("node");
  cluster.node = NodeFrom(PartOf(node, part.PlaceOf(node), ReadJson));
  cluster.nodes = static_cast<int>(fields.At("nodes").Int(1, kMaxNodes));
  const auto name = fields.Find("name");
  cluster.name = name ? name->String() : std::to_string(cluster.nodes) + " x " + cluster.node.name;
  if (cluster.nodes > 1 && cluster.node.nics == 0 && cluster.Gpus() > cluster.node.domain_gpus) {
    fields.At("nodes").Fail(cluster.node.name + " has no network interface to reach other nodes",
                            "use 1, or state nics, nic_bandwidth_gbit_per_s and nic_latency_us of the node");
  }
  if (const auto factor = fields.Find("oversubscription")) cluster.oversubscription = factor->Number(1, 1000);
  if (const auto fabric = fields.Find("fabric")) cluster.fabric_json = fabric->Raw().dump();
  return cluster;
}

Gpu ReadGpu(const std::string& path) {
  const bool name = path.find_first_of("/.") == std::string::npos && !std::filesystem::exists(path);
  const Found file = FindFile(name ? "hardware/" + path + ".json" : path);
  return GpuFrom(PartFrom(ReadJson(file), file, ReadJson).fields);
}

Node ReadNode(const std::string& path) {
  const Found file = FindFile(path);
  return NodeFrom(PartFrom(ReadJson(file), file, ReadJson));
}

Cluster ReadCluster(const std::string& path) {
  const Found file = FindFile(path);
  return ClusterFrom(ReadJson(file), file);
}

}  // namespace isochrone::plan
