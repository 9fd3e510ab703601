#include "costmodel/calibrate/collective_fit.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "costmodel/collective.h"

using namespace isochrone;
using namespace isochrone::costmodel;
using plan::CollectiveKind;

namespace {

double Whole(int) { return 1; }

/// The folder of published tables beside the checkout, or "" where there is none.
std::string Reference() {
  for (const char* up : {"/../shared/reference", "/../../shared/reference"}) {
    const std::string folder = std::string(ISO_SOURCE_DIR) + up + "/measured/collectives/";
    if (std::filesystem::is_directory(folder)) return folder;
  }
  return "";
}

std::vector<CollectiveSample> Made(const std::vector<CollectiveForm>& truth) {
  std::vector<CollectiveSample> samples;
  for (const int n : {2, 4, 8}) {
    for (double size = 512; size < 1e9; size *= 2) {
      double best = 1e9;
      for (const CollectiveForm& form : truth) {
        best = std::min(best, FormTime(form, WorkOf(form.shape, CollectiveKind::kAllReduce, n, size, 1), 1));
      }
      samples.push_back({CollectiveKind::kAllReduce, false, n, Bytes(size), Seconds(best)});
    }
  }
  return samples;
}

}  // namespace

TEST_CASE("a fit finds the forms that made the samples", "[collective]") {
  const BytesPerSecond own(800e9);
  const std::vector<CollectiveForm> truth = {
      {"ring_ll", FormShape::kRing, Seconds(5e-6), Seconds(0.7e-6), Seconds(0), BytesPerSecond(9e9), own, 2},
      {"ring_ll128", FormShape::kRing, Seconds(9e-6), Seconds(1.1e-6), Seconds(0), BytesPerSecond(90e9), own, 2},
      {"ring_simple", FormShape::kRing, Seconds(20e-6), Seconds(2e-6), Seconds(3e-6), BytesPerSecond(260e9), own, 2}};
  const CollectiveFit fit = FitCollective(Made(truth), BytesPerSecond(300e9), false, Whole);
  CHECK(fit.small.median < 0.01);
  CHECK(fit.large.median < 0.01);
  CHECK(fit.forms[0].hop.value == Approx(0.7e-6).epsilon(0.1));
  CHECK(fit.forms[0].latency.value == Approx(5e-6).epsilon(0.1));
  CHECK(fit.forms[2].bandwidth.value == Approx(260e9).epsilon(0.05));
}

TEST_CASE("tables of collectives are read in their own units", "[collective]") {
  std::istringstream nccl(
      "framework,version,device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\n"
      "TRTLLM,2,A,all_gather,NCCL,half,4,512,0.009\n"
      "TRTLLM,2,A,all_gather,NCCL,int8,4,512,0.008\n"
      "TRTLLM,2,A,alltoall,NCCL,half,8,1024,0.5\n");
  const auto rows = ReadCollectiveTable(nccl, "nccl.csv");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].kind == CollectiveKind::kAllGather);
  CHECK(rows[0].group == 4);
  CHECK(rows[0].size.value == 1024);
  CHECK(rows[0].time.value == Approx(9e-6));
  CHECK(rows[1].kind == CollectiveKind::kAllToAll);

  std::istringstream lookup(
      "size(B),count,type,time(ns),busbw(GB/s),time(ns),busbw(GB/s)\n1048576,262144,float,92790,19,9,9\n");
  const auto looked = ReadCollectiveTable(lookup, "lut.txt", 8);
  REQUIRE(looked.size() == 1);
  CHECK(looked[0].group == 8);
  CHECK(looked[0].time.value == Approx(92.79e-6));

  std::istringstream statistics(
      ",time_stats.send_recv.median,rank,num_workers,size,collective,devices_per_node,max_devices_per_node\n"
      "0,0.024,0,2,2048,send_recv,2,8\n1,0.3,0,2,2048,send_recv,1,8\n");
  const auto messages = ReadCollectiveTable(statistics, "s.csv");
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].message);
  CHECK(messages[0].time.value == Approx(24e-6));
}

TEST_CASE("a table of calibrate --device cuda reads behind its first lines, kind by kind", "[collective]") {
  std::istringstream own(
      "# 8 x A GPU\n# 2026-03-01\ncollective,group,bytes,seconds,spread\n"
      "all_reduce,8,1024,1e-05,1e-06\nall_to_all,4,4096,2e-05,0\nmessage,2,64,5e-06,0\n");
  const auto rows = ReadCollectiveTable(own, "h100.links.csv");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].kind == plan::CollectiveKind::kAllReduce);
  CHECK(rows[0].group == 8);
  CHECK(rows[0].size == Bytes(1024));
  CHECK(rows[0].time == Seconds(1e-5));
  CHECK(rows[1].kind == plan::CollectiveKind::kAllToAll);
  CHECK_FALSE(rows[1].message);
  CHECK(rows[2].message);
  std::istringstream wrong("# a line\ncollective,group,bytes,seconds\nall_reduces,8,1024,1e-05\n");
  CHECK_THROWS_WITH(ReadCollectiveTable(wrong, "x.csv"),
                    Catch::StartsWith("x.csv, line 3, column collective\n  \"all_reduces\" is none"));
}

TEST_CASE("a wrong table is refused with its place", "[collective]") {
  std::istringstream unknown("a,b\n1,2\n");
  CHECK_THROWS_WITH(ReadCollectiveTable(unknown, "x.csv"),
                    Catch::StartsWith("x.csv\n  has the unknown header \"a,b\""));
  std::istringstream lookup("size(B),count,type,time(ns)\n1,2,float,fast\n");
  CHECK_THROWS_WITH(ReadCollectiveTable(lookup, "x.txt", 2), Catch::StartsWith("x.txt, line 2, column time(ns)"));
  std::istringstream nameless("size(B),count,type,time(ns)\n");
  CHECK_THROWS_AS(ReadCollectiveTable(nameless, "x.txt"), Error);
}

TEST_CASE("the profiles agree with the published tables", "[collective]") {
  if (Reference().empty()) {
    WARN("SKIPPED: no ../shared/reference beside this checkout");
    return;
  }
  const std::string links = std::string(ISO_SOURCE_DIR) + "/scenarios/profiles/links/";
  for (const auto& [table, name] : {std::pair{"a100_sxm_comm_nccl_2.27.3", "nvlink3_nvswitch"},
                                    std::pair{"h100_sxm_comm_nccl_2.29.2", "nvlink4_nvswitch"},
                                    std::pair{"h200_sxm_comm_nccl_2.29.2", "nvlink4_nvswitch"},
                                    std::pair{"b200_sxm_comm_nccl_2.29.2", "nvlink5_nvswitch"},
                                    std::pair{"b300_sxm_comm_nccl_2.29.2", "nvlink5_nvswitch"},
                                    std::pair{"gb200_comm_nccl_2.29.2", "nvlink5_nvswitch"},
                                    std::pair{"gb300_comm_nccl_2.29.2", "nvlink5_nvswitch"}}) {
    const std::string file = Reference() + table + "_nccl_perf.csv";
    std::ifstream in(file);
    const auto samples = ReadCollectiveTable(in, file);
    const CollectiveProfile profile = ReadLinkProfile(links + name + ".json");
    for (int kind = 0; kind < kMeasuredKinds; ++kind) {
      std::vector<CollectiveSample> some;
      for (const CollectiveSample& sample : samples) {
        if (static_cast<int>(sample.kind) == kind) some.push_back(sample);
      }
      INFO(table << " kind " << kind);
      CHECK(ResidualOf(profile.forms[kind], some, Whole, Bytes(0), Bytes(kMebi)).median < 0.20);
      CHECK(ResidualOf(profile.forms[kind], some, Whole, Bytes(kMebi), Bytes(1e300)).median < 0.10);
    }
  }
}

TEST_CASE("all-reduces over four nodes take what was published", "[collective]") {
  if (Reference().empty()) {
    WARN("SKIPPED: no ../shared/reference beside this checkout");
    return;
  }
  plan::Cluster cluster;  // 8 GPUs and 100 GB/s of NICs a node
  cluster.nodes = 4;
  cluster.node.gpu.architecture = "ampere";
  cluster.node.link_bandwidth = BytesPerSecond(300e9);
  cluster.node.nics = 4;
  cluster.node.nic_bandwidth = BytesPerSecond(25e9);
  const CollectiveProfile profile =
      ReadCollectiveProfile(cluster.node, std::string(ISO_SOURCE_DIR) + "/scenarios/profiles/links");
  std::ifstream in(Reference() + "ml_engineering_network_bench.csv");
  std::string line;
  std::vector<double> errors;
  while (std::getline(in, line)) {
    double size = 0, bus = 0, rate = 0;
    char prefix = 0;
    const std::size_t comma = line.find(',');
    if (comma == std::string::npos ||
        std::sscanf(line.c_str() + comma, ",%lf%ciB,%lfGBps,%lfGBps", &size, &prefix, &bus, &rate) != 4) {
      continue;
    }
    size *= prefix == 'K' ? kKibi : prefix == 'M' ? kMebi : kGibi;
    const Seconds predicted = CollectiveTime(profile, cluster, {32, 8, 4, 1}, CollectiveKind::kAllReduce, Bytes(size));
    const double error = std::abs(predicted.value / (size / (rate * kGiga)) - 1);
    INFO(line << " predicted " << predicted.value * 1e6 << " us");
    CHECK(error < 0.25);
    errors.push_back(error);
  }
  REQUIRE(errors.size() == 20);
  std::sort(errors.begin(), errors.end());
  CHECK(errors[10] < 0.10);
}
