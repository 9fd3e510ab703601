#include "cli/calibrate_gpus.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "costmodel/collective_profile.h"
#include "costmodel/costs.h"
#include "costmodel/elementwise.h"
#include "costmodel/gemm.h"
#include "plan/scenario.h"
#include "tests/executor/recorded.h"
#include "tests/folder.h"

// From measuring (on recorded GPUs, whose kernels take what a known curve says) to the profile's file: it must hold
// that curve.

using namespace isochrone;
using namespace isochrone::executor::cuda;
using Catch::Matchers::Contains;

namespace {

struct Truth {
  plan::Gpu gpu = plan::ReadGpu("hardware/a100_sxm_80gb.json");
  costmodel::EfficiencyProfile profile = *costmodel::ProfileOf(gpu);

  Truth() {
    profile.gemm.at("bf16").rate_over_peak = 0.7;
    profile.gemm.at("bf16").launch = Seconds(5e-6);
    profile.memory.elementwise_over_peak = 0.6;
    profile.memory.reduction_over_peak = 0.45;
    profile.memory.scatter_over_peak = 0.3;
    profile.memory.optimizer_over_peak = 0.8;
    profile.memory.launch = Seconds(3e-6);
  }

  double TimeOf(const Recorder::Work& work) const {
    if (work.communicates) return 8e-6 * work.ranks + work.bytes / 150e9;
    if (work.product != nullptr) return (work.is_beside ? 1.2 : 1.0) * TimeOf(*work.product);
    const costmodel::MemoryCurve& m = profile.memory;
    const double share = work.name == "elementwise"                               ? m.elementwise_over_peak
                         : work.name == "softmax" || work.name == "normalization" ? m.reduction_over_peak
                         : work.name == "scatter"                                 ? m.scatter_over_peak
                                                                                  : m.optimizer_over_peak * 16 / 28;
    return work.bytes / (share * gpu.memory_bandwidth.value) + m.launch.value;
  }
  double TimeOf(const Matmul& m) const {
    plan::Gemm gemm;
    gemm.batch = m.batch, gemm.m = m.m, gemm.n = m.n, gemm.k = m.k, gemm.transpose_b = true;
    return costmodel::GemmModel(gpu, profile.gemm.at("bf16"), plan::Dtype::kBf16).Price(gemm).total.value;
  }
};

BenchRequest RequestOf(int gpus) {
  BenchRequest request = FullBench(gpus);
  request.formats = {plan::Dtype::kBf16};
  request.repeats = 3;
  request.least_seconds = 0;
  std::erase_if(request.products, [](const auto& p) { return p.m * p.n > (1 << 20) || p.k > 4096; });
  std::erase_if(request.stream_bytes, [](double bytes) { return bytes > (16 << 20); });
  std::erase_if(request.message_bytes, [](double bytes) { return bytes > (8 << 20); });
  request.overlap_bytes = 1 << 20;
  return request;
}

}  // namespace

TEST_CASE("measured on GPUs whose curves are known, the profile holds them, and its file reads back", "[cuda]") {
  const Truth truth;
  Recorder recorder({.computes = false,
                     .seconds = [&](const Recorder::Work& work) { return truth.TimeOf(work); },
                     .device = {.name = "NVIDIA A100", .driver = "580.1", .runtime = "CUDA 13.0", .nccl = "2.28.3"}});
  const GpuTimings timings = MeasureRecorded(2, RequestOf(2), recorder);
  const tests::Folder folder;
  const std::string out = folder / "a100.json";
  const cli::GpuCalibrated done = cli::CalibrateFrom(timings, {.gpu = "hardware/a100_sxm_80gb.json",
                                                               .node = "hardware/dgx_a100_80gb.json",
                                                               .out = out,
                                                               .command = "isochrone calibrate --device cuda",
                                                               .tables = {},
                                                               .folds = 0});
  const costmodel::EfficiencyProfile profile = costmodel::ReadProfile(out);
  CHECK(profile.command == "isochrone calibrate --device cuda");
  CHECK(profile.gemm.at("bf16").rate_over_peak == Approx(0.7).epsilon(0.05));
  CHECK(profile.gemm.at("bf16").launch.value == Approx(5e-6).epsilon(0.1));
  CHECK(profile.memory.elementwise_over_peak == Approx(0.6).epsilon(0.02));
  CHECK(profile.memory.reduction_over_peak == Approx(0.45).epsilon(0.02));
  CHECK(profile.memory.scatter_over_peak == Approx(0.3).epsilon(0.02));
  CHECK(profile.memory.optimizer_over_peak == Approx(0.8).epsilon(0.02));
  CHECK(profile.memory.launch.value == Approx(3e-6).epsilon(0.02));
  CHECK_THAT(profile.gemm.at("bf16").source.text, Contains("2 x NVIDIA A100, driver 580.1"));
  CHECK(profile.overlap.compute == Approx(1.2).epsilon(0.02));
  CHECK(profile.overlap.communication == 1);
  const costmodel::CollectiveProfile links = costmodel::ReadLinkProfile(done.links_profile);
  CHECK(links.name == "dgx_a100_80gb");
  CHECK_THAT(Print(timings, done), Contains("launch floor: 3.00 us") || Contains("launch floor: 3.00 µs"));
  CHECK_THAT(Print(timings, done), Contains("products take 1.20 times, all-reduces 1.00 times as long"));
}

TEST_CASE("measured slowness beside communication takes the place of the data sheet's", "[cuda]") {
  const Truth truth;
  costmodel::EfficiencyProfile measured = truth.profile;
  measured.overlap = {1.3, 1.5, {"measured", true}};
  plan::Cluster cluster;
  cluster.node = plan::ReadNode("hardware/dgx_a100_80gb.json");
  const auto contention = [&](const costmodel::EfficiencyProfile& profile) {
    return costmodel::Costs(cluster, plan::Layout{}, plan::Strategy{}, profile, costmodel::FrameworkProfile{})
        .ContentionOf();
  };
  CHECK(contention(measured).compute[1] == 1.3);
  CHECK(contention(measured).communication == 1.5);
  CHECK(contention(truth.profile).compute[1] == Approx(108.0 / 92));
}
