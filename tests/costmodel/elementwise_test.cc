#include "costmodel/elementwise.h"

#include <catch2/catch.hpp>

#include "tests/costmodel/round_gpu.h"

using namespace isochrone::costmodel;
using isochrone::Bytes;
using isochrone::Seconds;
namespace plan = isochrone::plan;

namespace {

template <class Op>
StreamPrice Price(const Op& op, const MemoryCurve& curve = IdealProfile().memory) {
  return PriceOf(op, RoundGpu(), curve);
}

}  // namespace

TEST_CASE("a map costs its bytes over the bandwidth reached, and never less than a launch", "[elementwise]") {
  plan::Elementwise op;
  op.read = Bytes(3e9), op.written = Bytes(1e9);
  MemoryCurve curve = IdealProfile().memory;
  curve.elementwise_over_peak = 0.8, curve.launch = Seconds(4e-6);
  CHECK(Price(op, curve).total.value == Approx(4e9 / 0.8e12 + 4e-6));
  op.read = op.written = Bytes(0);
  CHECK(Price(op, curve).total == Seconds(4e-6));
}

TEST_CASE("dropout takes as long as its random numbers where they outlast its bytes", "[elementwise]") {
  plan::Elementwise op;
  op.rows = 1'000'000, op.columns = 156;  // 1.56 numbers a cycle, 100 multiprocessors, 1 GHz: 1 ms
  op.read = op.written = Bytes(3e8);
  CHECK(Price(op).total.value == Approx(0.6e-3).epsilon(1e-3));
  op.draws = true;
  CHECK(Price(op).total.value == Approx(1e-3).epsilon(1e-3));
  CHECK(Price(op).memory.value == Approx(0.6e-3));
  op.read = Bytes(3e9);
  CHECK(Price(op).total.value == Approx(3.3e-3).epsilon(1e-3));
}

TEST_CASE("a fused causal softmax reads half; an unfused one makes several passes", "[elementwise]") {
  plan::Softmax op;
  op.rows = 1 << 16, op.columns = 2048;
  const Bytes once(2.0 * (1 << 16) * 2048);
  CHECK(Price(op).traffic == 1.5 * once);
  op.causal = false;
  CHECK(Price(op).traffic == 2.0 * once);
  op.fused = false;
  CHECK(Price(op).traffic >= 6.0 * once);
}

TEST_CASE("a loss over half the vocabulary costs half the bytes", "[elementwise]") {
  plan::CrossEntropy op;
  op.tokens = 4096, op.columns = 51200;
  const Bytes whole = Price(op).traffic;
  op.columns /= 2;
  CHECK(2.0 * Price(op).traffic == whole);
  const Bytes separate = Price(op).traffic;
  op.fused = true;
  CHECK(Price(op).traffic < separate);
}

TEST_CASE("the gradient of an embedding clears its whole table, its lookup reads the tokens' rows alone",
          "[elementwise]") {
  plan::Embedding op;
  op.tokens = 2048, op.hidden = 1024, op.rows = 50000;
  const Bytes forward = Price(op).traffic;
  op.rows = 100000;
  CHECK(Price(op).traffic == forward);
  op.pass = plan::Pass::kBackward;
  CHECK(Price(op).traffic > Bytes(2.0 * 100000 * 1024));
}

TEST_CASE("an optimizer moves its bytes per parameter", "[elementwise]") {
  plan::OptimizerUpdate op;
  op.parameters = 1e9, op.bytes_per_parameter = 30;
  CHECK(Price(op).total.value == Approx(0.03));
}
