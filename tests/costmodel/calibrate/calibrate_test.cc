#include "costmodel/calibrate/calibrate.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "costmodel/calibrate/least_squares.h"
#include "costmodel/calibrate/rate_ratio.h"
#include "costmodel/gemm.h"
#include "tests/costmodel/round_gpu.h"
#include "tests/folder.h"

using namespace isochrone::costmodel;
using isochrone::BytesPerSecond;
using isochrone::Error;
using isochrone::Seconds;
namespace plan = isochrone::plan;

namespace {

/// Reads `text` as a table of that name, which may say what is in it.
SampleTable Table(const std::string& name, const std::string& text) {
  const isochrone::tests::Folder folder;
  return ReadSamples(folder.Write(name, text));
}

std::string MessageOf(const std::string& name, const std::string& text) {
  const isochrone::tests::Folder folder;
  const std::string path = folder.Write(name, text);
  try {
    ReadSamples(path);
  } catch (const Error& e) {
    return std::string(e.what()).substr(path.size());
  }
  return "no error";
}

/// What a GPU with a known curve would measure.
SampleTable Synthetic(const GemmCurve& truth) {
  const GemmModel model(RoundGpu(), truth, plan::Dtype::kBf16);
  SampleTable table;
  table.file = "synthetic.csv", table.description = "round GPU";
  for (const std::int64_t m : {1, 16, 64, 128, 256, 512, 1024, 2048, 3000, 4096, 8192})
    for (const std::int64_t n : {256, 1024, 3072, 4096, 12288})
      for (const std::int64_t k : {64, 256, 1024, 4096, 16384}) {
        plan::Gemm gemm;
        gemm.m = m, gemm.n = n, gemm.k = k, gemm.transpose_b = true;
        table.samples.push_back({{gemm}, model.Price(gemm).total});
      }
  return table;
}

}  // namespace

TEST_CASE("least squares finds a line through points, and one bad point does not bend it", "[calibrate]") {
  std::vector<double> x, y;
  for (int i = 0; i < 20; ++i) x.push_back(i), y.push_back(3 + 0.5 * i);
  y[7] = 100;
  const auto residuals = [&](const std::vector<double>& v) {
    std::vector<double> r;
    for (std::size_t i = 0; i < x.size(); ++i) r.push_back(v[0] + v[1] * x[i] - y[i]);
    return r;
  };
  const Solution free = LeastSquares(residuals, {{"a", 0, -10, 10}, {"b", 0, -10, 10}}, 0.01);
  CHECK(free.values[0] == Approx(3).margin(0.01));
  CHECK(free.values[1] == Approx(0.5).margin(0.01));
  const Solution bounded = LeastSquares(residuals, {{"a", 0, -10, 2}, {"b", 0, -10, 10}}, 0.01);
  CHECK(bounded.values[0] <= 2);
}

TEST_CASE("calibration recovers the curve that made the measurements", "[calibrate]") {
  GemmCurve truth = IdealGemm();
  truth.rate_over_peak = 0.85, truth.memory_over_peak = 0.8, truth.l2 = BytesPerSecond(20e9);
  truth.epilogue = BytesPerSecond(15e9), truth.launch = Seconds(3e-6), truth.prologue = Seconds(1e-6);
  truth.quantisation = 0.8, truth.split = Seconds(2e-6), truth.split_memory_over_peak = 1, truth.sharpness = 4;
  CalibrationRequest request;
  request.gpu = RoundGpu();
  request.start = IdealProfile();
  GemmCurve& start = request.start.gemm.at("bf16");
  start = truth;
  start.rate_over_peak = 0.6, start.memory_over_peak = 0.5, start.launch = Seconds(6e-6),
  start.prologue = Seconds(3e-6);
  request.tables = {Synthetic(truth)};
  request.command = "isochrone calibrate round synthetic.csv", request.date = "2026-01-01", request.folds = 3;
  const CalibrationReport report = Calibrate(request);
  REQUIRE(report.curves.size() == 1);
  const GemmCurve& found = report.profile.gemm.at("bf16");
  CHECK(report.curves[0].regions[0].median_absolute < 0.01);
  CHECK(report.curves[0].cross_validated < 0.01);
  CHECK(found.rate_over_peak == Approx(truth.rate_over_peak).epsilon(0.05));
  CHECK(found.memory_over_peak == Approx(truth.memory_over_peak).epsilon(0.05));
  CHECK(found.launch.value == Approx(truth.launch.value).epsilon(0.05));
  CHECK(found.source.measured);
  CHECK(report.profile.command == "isochrone calibrate round synthetic.csv");
  CHECK(found.source.text.find("275 samples of round GPU") != std::string::npos);
  CHECK(Print(report).find("gemm bf16: fitted to 275 samples") == 0);
  CHECK_FALSE(report.profile.memory.source.measured);  // nothing was measured: the start stays
}

TEST_CASE("the four forms of measurement read as the ops that they timed", "[calibrate]") {
  const SampleTable products = Table("products.csv",
                                     "device,gemm_dtype,m,n,k,latency,power\n"
                                     "A GPU,bfloat16,8,16,32,0.5,1\n"
                                     "A GPU,int3,8,16,32,0.5,1\n");
  REQUIRE(products.samples.size() == 1);
  CHECK(products.description == "A GPU");
  const auto& gemm = std::get<plan::Gemm>(products.samples[0].ops.at(0));
  CHECK(gemm.m == 8);
  CHECK(gemm.n == 16);
  CHECK(gemm.k == 32);
  CHECK(products.samples[0].time.value == Approx(5e-4));

  const SampleTable batched = Table("a100_bmm_fp16.csv",
                                    "mp,b,h,l,dim,F_dur(us),B_dur(us)\n"
                                    "2,4,16,1024,2048,100,250\n");
  REQUIRE(batched.samples.size() == 2);
  CHECK(std::get<plan::Gemm>(batched.samples[0].ops.at(0)).batch == 32);
  CHECK(std::get<plan::Gemm>(batched.samples[0].ops.at(0)).n == 128);
  CHECK(batched.samples[1].ops.size() == 2);  // both gradients
  CHECK(batched.samples[1].time.value == Approx(250e-6));

  const SampleTable own =
      Table("own.csv",
            "# machine: a box\n# command: bench\n"
            "op,pass,dtype,batch,m,n,k,heads,kv_heads,queries,keys,head_dim,causal,bytes,seconds\n"
            "attention,backward,bf16,2,,,,8,4,1024,1024,128,1,,0.001\nelementwise,forward,bf16,,,,,,,,,,,1000,0.002\n");
  REQUIRE(own.samples.size() == 2);
  CHECK(own.description == "machine: a box; command: bench");
  CHECK(std::get<plan::Attention>(own.samples[0].ops.at(0)).pass == plan::Pass::kBackward);
  CHECK(std::get<plan::Attention>(own.samples[0].ops.at(0)).kv_heads == 4);
}

TEST_CASE("a damaged table is refused by file, line and column", "[calibrate]") {
  CHECK(MessageOf("bad.csv", "device,gemm_dtype,m,n,k,latency\nA,bf16,8,x,32,0.5\n") ==
        ":2: n = \"x\"\n  is no number that would do\n  give a number of at least 1.000000");
  CHECK(MessageOf("bad.csv", "device,gemm_dtype,m,n,k,latency\nA,bf16,8\n") ==
        ":2\n  has 3 cells\n  give 6, one per column of the header");
  CHECK(MessageOf("bad.csv", "a,b\n1,2\n").find("has columns of no known form") != std::string::npos);
}

TEST_CASE("a table of operators gives each product the time that its share of the data sheet says", "[calibrate]") {
  const std::string text = R"({"accelerator": {"op": {"matmul": {"tflops": 100, "accurate_efficient_factor": {
    "b=1, m=4096, k=8192, n=10240, layout=TN, accumulate=False, out_dtype=bf16": 0.5,
    "b=2, m=10240, k=4096, n=8192, layout=NT, accumulate=True, out_dtype=fp32": 0.25}}}}})";
  const SampleTable table = Table("factors.json", text);
  REQUIRE(table.samples.size() == 2);
  const auto& forward = std::get<plan::Gemm>(table.samples[0].ops.front());
  CHECK(forward.m == 4096);
  CHECK(forward.k == 8192);
  CHECK(forward.n == 10240);
  CHECK(forward.transpose_b);
  CHECK_FALSE(forward.transpose_a);
  CHECK(table.samples[0].time.value == Approx(2.0 * 4096 * 8192 * 10240 / 50e12));
  const auto& weight = std::get<plan::Gemm>(table.samples[1].ops.front());
  CHECK(weight.transpose_a);
  CHECK_FALSE(weight.transpose_b);
  CHECK(weight.accumulate);
  CHECK(weight.output == plan::Dtype::kFp32);
  CHECK(table.samples[1].time.value == Approx(4.0 * 4096 * 8192 * 10240 / 25e12));
  const std::string odd =
      R"({"accelerator": {"op": {"matmul": {"tflops": 100, "accurate_efficient_factor": {"m=1": 0.5}}}}})";
  CHECK(MessageOf("odd.json", odd).find("m=1") != std::string::npos);
}

TEST_CASE("products of experts in a table of operators stand apart, and tell in which form they ran", "[calibrate]") {
  const std::string text = R"({"accelerator": {"op": {
    "matmul": {"tflops": 100, "accurate_efficient_factor": {}},
    "group_matmul": {"tflops": 100, "accurate_efficient_factor": {
      "ng=8, M=128, N=512, K=4096, dtype=bf16, out_dtype=bf16, main_grad_dtype=fp32, stage=fwd, grad=False": 0.25,
      "ng=8, M=128, N=512, K=4096, dtype=bf16, out_dtype=bf16, main_grad_dtype=fp32, stage=bwd_grad_act, grad=True": 0.25,
      "ng=8, M=128, N=512, K=4096, dtype=bf16, out_dtype=bf16, main_grad_dtype=fp32, stage=bwd_grad_w, grad=True": 0.25
  }}}}})";
  SampleTable table = Table("grouped.json", text);
  CHECK(table.samples.empty());
  REQUIRE(table.grouped.size() == 3);
  const auto at = [&](int i) { return std::get<plan::GroupedGemm>(table.grouped[i].ops.front()); };
  CHECK(at(0).experts == 8);
  CHECK(at(0).rows == 8 * 128);
  for (int i = 0; i < 3; ++i) CHECK(table.grouped[i].time.value == Approx(2.0 * 8 * 128 * 512 * 4096 / 25e12));
  int inputs = 0, weights = 0;
  for (int i = 0; i < 3; ++i) {
    inputs += at(i).n == 4096 && !at(i).weight_gradient;
    weights += at(i).weight_gradient && at(i).output == plan::Dtype::kFp32;
  }
  CHECK(inputs == 1);
  CHECK(weights == 1);

  const EfficiencyProfile profile = IdealProfile();
  for (Sample& sample : table.grouped) {
    const auto& gemm = std::get<plan::GroupedGemm>(sample.ops.front());
    const GemmModel model(RoundGpu(), CurveOf(profile, gemm.dtype), gemm.dtype);
    sample.time = model.Price(gemm, GroupedForm::kOneCallEach).total;
  }
  CHECK(GroupedRatioOf({table}, RoundGpu(), profile, GroupedForm::kOneCallEach).median == Approx(1));
  CHECK(GroupedRatioOf({table}, RoundGpu(), profile, GroupedForm::kOneKernel).median < 0.95);
  CHECK_THROWS_AS(GroupedRatioOf({}, RoundGpu(), profile, GroupedForm::kOneKernel), Error);
  CHECK(MessageOf("odd.json", R"({"accelerator": {"op": {"matmul": {"tflops": 100, "accurate_efficient_factor": {}},
    "group_matmul": {"tflops": 100, "accurate_efficient_factor": {"ng=8": 0.5}}}}})")
            .find("is no shape of a product") != std::string::npos);
}

TEST_CASE("a table that ran at a lower clock stands to a profile as the clocks do", "[calibrate]") {
  EfficiencyProfile profile = IdealProfile();
  SampleTable table = Synthetic(profile.gemm.at("bf16"));
  for (Sample& sample : table.samples) sample.time = sample.time / 0.8;
  const RateRatio ratio = RateRatioOf({table}, RoundGpu(), profile, isochrone::Flops(1e11));
  CHECK(ratio.median == Approx(0.8));
  CHECK(ratio.lower == Approx(0.8));
  CHECK(ratio.upper == Approx(0.8));
  CHECK(ratio.products < static_cast<int>(table.samples.size()));
  CHECK_THROWS_AS(RateRatioOf({table}, RoundGpu(), profile, isochrone::Flops(1e18)), Error);
}
