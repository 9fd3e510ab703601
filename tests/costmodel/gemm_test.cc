#include "costmodel/gemm.h"

#include <catch2/catch.hpp>

#include <tuple>

#include "tests/costmodel/round_gpu.h"

using isochrone::Bytes;
using isochrone::BytesPerSecond;
using isochrone::Seconds;
using namespace isochrone::costmodel;
namespace plan = isochrone::plan;

namespace {

plan::Gemm Product(std::int64_t m, std::int64_t n, std::int64_t k) {
  plan::Gemm gemm;
  gemm.m = m, gemm.n = n, gemm.k = k;
  return gemm;
}

double Time(const GemmCurve& curve, const plan::Gemm& gemm) {
  return GemmModel(RoundGpu(), curve, gemm.dtype).Price(gemm).total.value;
}

}  // namespace

TEST_CASE("a product that fills every multiprocessor evenly runs at the rate", "[gemm]") {
  // 1,280 x 1,280 is 100 tiles of 128 x 128: one wave exactly
  const plan::Gemm gemm = Product(1280, 1280, 65536);
  CHECK(Time(IdealGemm(), gemm) == Approx(2.0 * 1280 * 1280 * 65536 / 100e12));
}

TEST_CASE("one tile too many costs part of a wave, and no more than a whole one", "[gemm]") {
  const double full = Time(IdealGemm(), Product(1280, 1280, 65536));
  const double over = Time(IdealGemm(), Product(1281, 1280, 65536));
  CHECK(over > 1.05 * full);
  CHECK(over <= 2 * full);
  GemmCurve fluid = IdealGemm();
  fluid.quantisation = 0;
  CHECK(Time(fluid, Product(1281, 1280, 65536)) < over);
}

TEST_CASE("a product with one row costs its bytes", "[gemm]") {
  const plan::Gemm gemm = Product(1, 16384, 16384);
  CHECK(Time(IdealGemm(), gemm) == Approx((16384.0 * 16384 + 2 * 16384) * 2 / 1e12).epsilon(0.01));
}

TEST_CASE("swapping rows and columns changes nothing", "[gemm]") {
  GemmCurve curve = IdealGemm();
  curve.l2 = BytesPerSecond(20e9);
  for (const auto& [m, n, k] : {std::tuple{4096, 1024, 4096}, {128, 8192, 1024}, {8192, 3072, 12288}})
    CHECK(Time(curve, Product(m, n, k)) == Approx(Time(curve, Product(n, m, k))));
}

TEST_CASE("an empty-handed kernel costs its launch", "[gemm]") {
  GemmCurve curve = IdealGemm();
  curve.launch = Seconds(1e-3);
  CHECK(Time(curve, Product(1, 8, 8)) == Approx(1e-3).epsilon(0.01));
}

TEST_CASE("few deep tiles are split along k where that pays", "[gemm]") {
  GemmCurve curve = IdealGemm();
  const plan::Gemm gemm = Product(64, 64, 1 << 20);
  CHECK(GemmModel(RoundGpu(), curve, gemm.dtype).Price(gemm).splits == 1);  // a split costs a whole second
  curve.split = Seconds(1e-6);
  CHECK(GemmModel(RoundGpu(), curve, gemm.dtype).Price(gemm).splits == 16);
}

TEST_CASE("accumulating into fp32 moves eight bytes an element instead of two", "[gemm]") {
  plan::Gemm gemm = Product(4096, 4096, 64);
  const GemmModel model(RoundGpu(), IdealGemm(), gemm.dtype);
  const Bytes plain = model.Price(gemm).traffic;
  gemm.accumulate = true, gemm.output = plan::Dtype::kFp32;
  CHECK((model.Price(gemm).traffic - plain).value == 6.0 * 4096 * 4096);
}

TEST_CASE("what a product is added to is read behind its arithmetic: only writing fp32 for bf16 lengthens a tile",
          "[gemm]") {
  GemmCurve slow = IdealGemm();
  slow.epilogue = BytesPerSecond(1e9);           // so slow that the end of a tile is felt
  plan::Gemm gemm = Product(1280, 1280, 65536);  // one tile of 128 x 128 for each of 100 multiprocessors
  const double plain = Time(slow, gemm);
  gemm.accumulate = true;
  CHECK(Time(slow, gemm) == Approx(plain));
  gemm.output = plan::Dtype::kFp32;
  CHECK(Time(slow, gemm) - plain == Approx(2.0 * 128 * 128 / 1e9).epsilon(1e-3));
}

TEST_CASE("alignment is judged on the dimensions that are contiguous in memory", "[gemm]") {
  plan::Gemm gemm = Product(1001, 1024, 1024);
  CHECK(AlignmentOf(gemm) == 1);  // rows of A may be odd
  gemm.transpose_a = true;        // A is stored k x m: its rows are 2,002 bytes
  CHECK(AlignmentOf(gemm) < 0.7);
  CHECK(AlignmentOf(Product(1024, 1004, 1024)) < AlignmentOf(Product(1024, 1008, 1024)));
}

TEST_CASE("more work never takes less time", "[gemm]") {
  GemmCurve curve = IdealGemm();
  curve.l2 = BytesPerSecond(30e9), curve.epilogue = BytesPerSecond(20e9), curve.prologue = Seconds(1e-6);
  curve.split = Seconds(2e-6), curve.sharpness = 4, curve.quantisation = 0.9;
  double last = 0;
  for (std::int64_t m = 128; m <= 16384; m *= 2) {
    const double time = Time(curve, Product(m, 4096, 4096));
    CHECK(time >= last);
    last = time;
  }
  last = 0;
  for (std::int64_t k = 64; k <= 65536; k *= 2) {
    const double time = Time(curve, Product(2048, 4096, k));
    CHECK(time >= last);
    last = time;
  }
}

TEST_CASE("ragged experts cost more than even ones of the same size, and at most half a tile each", "[gemm]") {
  plan::GroupedGemm grouped;
  grouped.experts = 8, grouped.rows = 8 * 1024, grouped.rows_fullest = 1200, grouped.n = 4096, grouped.k = 4096;
  plan::Gemm even = Product(1024, 4096, 4096);
  even.batch = 8;
  const GemmModel model(RoundGpu(), IdealGemm(), plan::Dtype::kBf16);
  const double ragged = model.Price(grouped, GroupedForm::kOneKernel).total.value,
               whole = model.Price(even).total.value;
  CHECK(ragged > whole);
  CHECK(ragged < whole * (1024 + 128) / 1024);
}

TEST_CASE("experts multiplied one after another pay each for its own tail and launch", "[gemm]") {
  const GemmModel model(RoundGpu(), IdealGemm(), plan::Dtype::kBf16);
  plan::GroupedGemm grouped;
  grouped.experts = 64, grouped.rows = 64 * 128, grouped.rows_fullest = 128, grouped.n = 512, grouped.k = 4096;
  const GemmPrice each = model.Price(grouped, GroupedForm::kOneCallEach),
                  all = model.Price(grouped, GroupedForm::kOneKernel);
  CHECK(each.calls == 64);
  CHECK(all.calls == 1);
  CHECK(each.launch.value == Approx(64 * all.launch.value));
  CHECK(each.total.value > 1.2 * all.total.value);  // 128 rows of one expert leave multiprocessors without a tile
  plan::GroupedGemm alone = grouped;
  alone.experts = 1, alone.rows = 128;
  CHECK(each.total.value == Approx(64 * model.Price(alone, GroupedForm::kOneKernel).total.value));

  plan::Strategy strategy;
  plan::Gpu gpu = RoundGpu();
  for (const auto& [framework, architecture, each_apart] :
       std::vector<std::tuple<std::string, std::string, bool>>{{"megatron_core", "blackwell", true},
                                                               {"megatron_core", "hopper", true},
                                                               {"megatron_core", "ampere", false},
                                                               {"fsdp2", "blackwell", false}}) {
    strategy.framework = framework, gpu.architecture = architecture;
    CHECK((GroupedFormOf(strategy, gpu) == GroupedForm::kOneCallEach) == each_apart);
  }
}
