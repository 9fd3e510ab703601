#include "costmodel/attention.h"

#include <catch2/catch.hpp>

#include "tests/costmodel/round_gpu.h"

using namespace isochrone::costmodel;
using isochrone::Seconds;
namespace plan = isochrone::plan;

namespace {

plan::Attention Full(std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t head_dim) {
  plan::Attention op;
  op.batch = batch, op.heads = op.kv_heads = heads, op.queries = op.keys = length;
  op.qk_dim = op.v_dim = head_dim, op.causal = false;
  return op;
}

double Time(const plan::Attention& op, FlashGeneration generation = FlashGeneration::kBest) {
  return PriceOf(op, RoundGpu(), IdealProfile(), generation).total.value;
}

}  // namespace

TEST_CASE("full attention runs 4 B A S^2 D flops at the rate", "[attention]") {
  CHECK(Time(Full(8, 16, 4096, 128)) == Approx(4.0 * 8 * 16 * 4096 * 4096 * 128 / 100e12));
}

TEST_CASE("backward runs five products where forward runs two", "[attention]") {
  plan::Attention op = Full(8, 16, 4096, 128);
  const double forward = Time(op);
  op.pass = plan::Pass::kBackward;
  CHECK(Time(op) == Approx(2.5 * forward));
}

TEST_CASE("a causal mask halves long attention, and saves nothing within one tile", "[attention]") {
  plan::Attention causal = Full(8, 16, 16384, 128);
  const double full = Time(causal);
  causal.causal = true;
  CHECK(Time(causal) == Approx(full / 2).epsilon(0.01));
  plan::Attention tile = Full(512, 64, 128, 128);
  const double one = PriceOf(tile, RoundGpu(), IdealProfile(), FlashGeneration::kBest).compute.value;
  tile.causal = true;
  CHECK(PriceOf(tile, RoundGpu(), IdealProfile(), FlashGeneration::kBest).compute.value == Approx(one));
}

TEST_CASE("a window makes attention linear in the sequence", "[attention]") {
  plan::Attention op = Full(8, 16, 8192, 128);
  op.causal = true, op.window = 1024;
  const double once = Time(op);
  op.queries = op.keys = 16384;
  CHECK(Time(op) == Approx(2 * once).epsilon(0.01));
}

TEST_CASE("a head of 80 costs more than one of 96, which it is padded to", "[attention]") {
  CHECK(Time(Full(8, 32, 4096, 80)) > Time(Full(8, 32, 4096, 96)));
  CHECK(Time(Full(8, 32, 4096, 64)) < Time(Full(8, 32, 4096, 80)));
}

TEST_CASE("shared keys and values save bytes, not products", "[attention]") {
  const plan::Attention all = Full(8, 32, 4096, 128);
  plan::Attention shared = all;
  shared.kv_heads = 4;
  const AttentionPrice a = PriceOf(all, RoundGpu(), IdealProfile(), FlashGeneration::kBest);
  const AttentionPrice b = PriceOf(shared, RoundGpu(), IdealProfile(), FlashGeneration::kBest);
  CHECK(a.compute.value == Approx(b.compute.value));
  CHECK(b.traffic.value == Approx(a.traffic.value * (32 + 4) / 64));
}

TEST_CASE("one head takes as long as its longest tile, however many multiprocessors idle", "[attention]") {
  plan::Attention op = Full(1, 1, 4096, 128);
  op.causal = true;
  CHECK(Time(op) == Approx(128.0 * 4096 * 4 * 128 / 1e12));  // 32 tiles on 100 multiprocessors
}

TEST_CASE("the first generation takes twice the time of the second; on Hopper the second is behind the third",
          "[attention]") {
  const plan::Attention op = Full(8, 16, 8192, 128);
  CHECK(Time(op, FlashGeneration::kFlash1) == Approx(2 * Time(op, FlashGeneration::kFlash2)));
  CHECK(Time(op, FlashGeneration::kFlash2) == Approx(Time(op, FlashGeneration::kBest)));
  plan::Gpu hopper = RoundGpu();
  hopper.architecture = "hopper";
  CHECK(PriceOf(op, hopper, IdealProfile(), FlashGeneration::kFlash2).total >
        1.5 * PriceOf(op, hopper, IdealProfile(), FlashGeneration::kBest).total);
}
