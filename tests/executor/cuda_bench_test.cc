#include "executor/cuda/gpu_bench.h"

#include <map>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "executor/cuda/management.h"
#include "tests/executor/recorded.h"

// What `calibrate --device cuda` launches, and how it times it, on recorded GPUs whose times are given.

using namespace isochrone;
using namespace isochrone::executor::cuda;
using Catch::Matchers::Contains;
using plan::Dtype;

namespace {

BenchRequest Small() {
  BenchRequest r;
  r.formats = {Dtype::kFp32, Dtype::kTf32, Dtype::kBf16};
  r.products = {{.m = 64, .n = 32, .k = 16}, {.batch = 2, .m = 8, .n = 24, .k = 40}};
  r.stream_bytes = {96 << 10, 768 << 10};
  r.attention = {{.batch = 1, .heads = 2, .queries = 16, .head_dim = 8}};
  return r;
}

BenchRequest SmallLinks() {
  BenchRequest r;
  r.formats = {Dtype::kBf16};
  r.products = {{.m = 64, .n = 32, .k = 16}};
  r.groups = {2, 3};
  r.message_bytes = {1 << 10, 96 << 10};
  r.overlap_bytes = 12 << 10;
  r.repeats = 5;
  return r;
}

/// What an operation takes alone: 2 us and its share of 1 GB/s; a product of n numbers in C 1 us and n ns.
double Alone(const Recorder::Work& work) {
  if (work.product != nullptr)
    return 1e-6 + 1e-9 * static_cast<double>(work.product->batch * work.product->m * work.product->n);
  return 2e-6 + 1e-9 * work.bytes;
}

const KernelTiming& Of(const GpuTimings& t, const std::string& op, Dtype dtype, Index m) {
  for (const KernelTiming& k : t.kernels)
    if (k.op == op && k.dtype == dtype && k.m == m && !k.backward) return k;
  throw Error(op, "was not measured", "measure it");
}

}  // namespace

TEST_CASE("kernels of one GPU are timed by medians of intervals, behind warm-ups, as often as fills an interval",
          "[cuda][bench]") {
  std::map<std::string, int> launches;
  int number = 0;
  Recorder recorder({.computes = false, .seconds = [&](const Recorder::Work& work) {
                       ++launches[work.name];
                       return Alone(work) * (++number % 997 == 0 ? 5 : 1);  // a hiccup now and then
                     }});
  const BenchRequest request = Small();
  const GpuTimings t = MeasureRecorded(1, request, recorder);
  CHECK_NOTHROW(recorder.CheckNothingLeft());
  REQUIRE(t.kernels.size() == 1 + 5 * 2 + 3 * 2 + 2);
  CHECK(t.launch_s == Approx(2e-6 + 384e-9).epsilon(0.05));
  for (const Dtype dtype : request.formats) {
    CHECK(Of(t, "gemm", dtype, 64).seconds == Approx(1e-6 + 2048e-9).epsilon(0.05));
    CHECK(Of(t, "gemm", dtype, 8).seconds == Approx(1e-6 + 384e-9).epsilon(0.05));
    CHECK(Of(t, "gemm", dtype, 8).batch == 2);
  }
  CHECK(t.collectives.empty());
  // 3 us fill 200 us 66 times: 9 intervals of 66, 3 and 1 launches before to see that, 3 to warm up.
  CHECK(launches.at("gemm") > 3 * (9 * 66 + 9 * 144));
  CHECK(launches.at("gemm") < 3 * (9 * 69 + 9 * 150 + 14));
}

TEST_CASE("a rank computes what it times: emulated kernels and products of random numbers run through",
          "[cuda][bench]") {
  BenchRequest request = Small();
  request.stream_bytes = {64 << 10};
  request.least_seconds = 0;
  request.repeats = 1;
  request.warmups = 0;
  Recorder recorder({.seed = 3, .computes = true, .seconds = Alone});
  CHECK_NOTHROW(MeasureRecorded(1, request, recorder));
  CHECK_NOTHROW(recorder.CheckNothingLeft());
  CHECK(recorder.Counted().kernels > 6);
  CHECK(recorder.Counted().products == 3 * 2 * 2);
}

TEST_CASE("collectives are timed for every size and group, messages between two, the same work on all ranks",
          "[cuda][bench]") {
  Recorder recorder({.computes = false, .seconds = Alone});
  const GpuTimings t = MeasureRecorded(3, SmallLinks(), recorder);
  CHECK_NOTHROW(recorder.CheckNothingLeft());
  std::map<std::string, int> kinds;
  for (const CollectiveTiming& c : t.collectives) {
    INFO((c.is_message ? "message" : plan::NameOf(c.kind)) << " of " << c.bytes << " over " << c.group);
    ++kinds[c.is_message ? "message" : plan::NameOf(c.kind)];
    CHECK(c.bytes == static_cast<double>(static_cast<Index>(c.bytes / 4) / c.group * c.group * 4));
    // An all-to-all is a send and a receive for each peer, one after the other in this clock.
    const double part = c.bytes / c.group, peers = c.group - 1;
    const double expected = c.kind == plan::CollectiveKind::kAllToAll && !c.is_message
                                ? 2 * peers * (2e-6 + 1e-9 * part)
                                : 2e-6 + 1e-9 * c.bytes;
    CHECK(c.seconds == Approx(expected).epsilon(1e-6));
  }
  CHECK(kinds == std::map<std::string, int>{
                     {"all_gather", 4}, {"all_reduce", 4}, {"all_to_all", 4}, {"message", 2}, {"reduce_scatter", 4}});
}

TEST_CASE("what products and all-reduces lose beside each other is measured apart, on every group", "[cuda][bench]") {
  Recorder recorder({.computes = false, .seconds = [](const Recorder::Work& work) {
                       const double factor = !work.is_beside ? 1 : work.product != nullptr ? 1.25 : 1.4;
                       return factor * Alone(work);
                     }});
  const GpuTimings t = MeasureRecorded(3, SmallLinks(), recorder);
  REQUIRE(t.overlaps.size() == 2);
  for (const OverlapTiming& o : t.overlaps) {
    CHECK(o.compute == Approx(1.25).epsilon(0.02));
    CHECK(o.communication == Approx(1.4).epsilon(0.02));
  }
  CHECK(t.overlaps.back().group == 3);
}

TEST_CASE("tables of what was measured begin with device, clocks, date and command", "[cuda][bench]") {
  DeviceState hot{.known = true,
                  .clock_hz = 1755e6,
                  .memory_clock_hz = 2619e6,
                  .temperature_c = 61,
                  .power_w = 640,
                  .slowed_by = ThrottleReasons(0x4 | 0x1 | 0x40)};
  CHECK(Text(hot) == "1,755 MHz, memory 2,619 MHz, 61 C, 640 W, slowed by software power cap and hardware thermal");
  CHECK(Text(DeviceState()) == "not known");
  Recorder recorder({.computes = false,
                     .seconds = Alone,
                     .device = {.name = "A GPU", .driver = "580.1", .runtime = "CUDA 13.0", .nccl = "2.28.3"},
                     .state = [&] { return hot; }});
  const GpuTimings t = MeasureRecorded(3, SmallLinks(), recorder);
  CHECK_THAT(KernelTable(t, "2026-03-01", "isochrone calibrate"),
             Contains("# 3 x A GPU, driver 580.1, CUDA 13.0, NCCL 2.28.3\n"
                      "# clocks during products in bf16: 1,755 MHz, memory 2,619 MHz, 61 C, 640 W, slowed by "
                      "software power cap and hardware thermal\n") &&
                 Contains("# 2026-03-01\n# isochrone calibrate\nop,pass,dtype,") &&
                 Contains("\ngemm,forward,bf16,1,64,32,16,,,,,,0,,3.04"));
  CHECK_THAT(CollectiveTable(t, "2026-03-01", "isochrone calibrate"),
             Contains("# isochrone calibrate\ncollective,group,bytes,seconds,spread\nall_reduce,2,1024,"));
}

TEST_CASE("whatever call fails while GPUs are measured, all that was taken is given back", "[cuda][bench]") {
  BenchRequest request = SmallLinks();
  request.repeats = 2;
  request.least_seconds = 0;
  Recorder counting({.computes = false, .seconds = Alone});
  MeasureRecorded(2, request, counting);
  const std::size_t calls = counting.CallsMade();
  for (std::size_t call = 1; call < calls; call += call < 40 ? 1 : 1 + calls / 50) {
    INFO("call " << call);
    Recorder recorder({.computes = false, .seconds = Alone});
    recorder.FailAt(call);
    bool failed = false;
    try {
      MeasureRecorded(2, request, recorder);
    } catch (const Error&) {
      failed = true;
    }
    INFO(recorder.FailedCall());
    CHECK((failed || recorder.FailedCall() == "cudaMalloc"));  // asked for again when spare blocks are freed
    CHECK_NOTHROW(recorder.CheckNothingLeft());
  }
}
