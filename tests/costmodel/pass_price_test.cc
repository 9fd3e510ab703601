#include "costmodel/pass_price.h"

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::costmodel;

namespace {

plan::Op On(plan::Stream stream, std::vector<int> after = {}) {
  return {.name = "op", .stream = stream, .kind = plan::Gemm{}, .in = {}, .out = {}, .after = std::move(after)};
}

}  // namespace

TEST_CASE("ops of one stream add up", "[price]") {
  const PassPrice p = PriceOfPass({On(plan::Stream::kCompute), On(plan::Stream::kCompute)}, {2, 3}, {});
  CHECK(p.total == 5);
  CHECK(p.compute == 5);
}

TEST_CASE("a collective that the next op waits for is exposed", "[price]") {
  const PassPrice p = PriceOfPass(
      {On(plan::Stream::kCompute), On(plan::Stream::kTensor, {0}), On(plan::Stream::kCompute, {1})}, {2, 3, 4}, {});
  CHECK(p.total == 9);
  CHECK(p.compute == 6);
  CHECK(p.exposed[static_cast<std::size_t>(plan::Stream::kTensor)] == 3);
}

TEST_CASE("communication beside compute hides, and both are slower meanwhile", "[price]") {
  const std::vector<plan::Op> ops = {On(plan::Stream::kCompute), On(plan::Stream::kTensor)};
  CHECK(PriceOfPass(ops, {5, 3}, {}).total == 5);
  // 3 s of communication take 6 s; meanwhile compute does 6 / 1.5 = 4 of its 5 s; the last second runs alone.
  const PassPrice p = PriceOfPass(ops, {5, 3}, {.compute = 1.5, .communication = 2});
  CHECK(p.total == Approx(7));
  CHECK(p.compute == Approx(7));
}

TEST_CASE("parts add up to the total", "[price]") {
  const PassPrice p = PriceOfPass({On(plan::Stream::kCompute), On(plan::Stream::kTensor, {0}), On(plan::Stream::kData),
                                   On(plan::Stream::kCompute, {1}), On(plan::Stream::kContext, {3})},
                                  {1, 2, 10, 3, 0.5}, {.compute = 1.1, .communication = 1.3});
  double sum = p.compute;
  for (double e : p.exposed) sum += e;
  CHECK(sum == Approx(p.total));
}
