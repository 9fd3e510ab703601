#include "costmodel/pass_price.h"

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::costmodel;

namespace {

plan::Op On(plan::Stream stream, std::vector<int> after = {}) {
  return {.name = "op", .stream = stream, .kind = plan::Gemm{}, .in = {}, .out = {}, .after = std::move(after)};
}

plan::Op Map(plan::Stream stream, std::vector<int> after = {}) {
  plan::Op op = On(stream, std::move(after));
  op.kind = plan::Elementwise{};
  return op;
}

/// Products take 1.5 times as long beside tensor collectives, other compute 1.25 times beside any.
Contention HeldUp() {
  Contention contention(1.25, 1);
  contention.product = 1.5;
  contention.holds_up[static_cast<std::size_t>(plan::Stream::kTensor)] = true;
  return contention;
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
  const PassPrice p = PriceOfPass(ops, {5, 3}, {1.5, 2});
  CHECK(p.total == Approx(7));
  CHECK(p.compute == Approx(7));
}

TEST_CASE("parts add up to the total", "[price]") {
  const PassPrice p = PriceOfPass({On(plan::Stream::kCompute), On(plan::Stream::kTensor, {0}), On(plan::Stream::kData),
                                   On(plan::Stream::kCompute, {1}), On(plan::Stream::kContext, {3})},
                                  {1, 2, 10, 3, 0.5}, {1.1, 1.3});
  double sum = p.compute;
  for (double e : p.exposed) sum += e;
  CHECK(sum == Approx(p.total));
}

TEST_CASE("late blocks hold a product up for as long as the collective that it started beside", "[price]") {
  const std::vector<plan::Op> ops = {On(plan::Stream::kTensor), On(plan::Stream::kCompute)};
  const auto total = [&](double collective, const std::vector<double>& late = {}) {
    return PriceOfPass(ops, {collective, 4}, HeldUp(), late).total;
  };
  CHECK(total(1) == Approx(4.5));
  CHECK(total(4) == Approx(6));
  CHECK(total(100) == Approx(100));
  CHECK(PriceOfPass(ops, {100, 4}, HeldUp()).compute == Approx(6));
  // Late blocks have three of four tiles: the first second does not matter.
  CHECK(total(1, {0, 0.75}) == Approx(4));
  CHECK(total(2, {0, 0.75}) == Approx(4.5));
  CHECK(total(8, {0, 0.75}) == Approx(8));
  CHECK(PriceOfPass(ops, {8, 4}, HeldUp(), {0, 0.75}).compute == Approx(5.5));
  CHECK(total(3, {0, 0}) == Approx(4));
}

TEST_CASE("what is no product, has started before, or runs beside another stream shares the GPU", "[price]") {
  const std::vector<plan::Op> map = {On(plan::Stream::kTensor), Map(plan::Stream::kCompute)};
  CHECK(PriceOfPass(map, {100, 4}, HeldUp()).compute == Approx(5));
  const std::vector<plan::Op> data = {On(plan::Stream::kData), On(plan::Stream::kCompute)};
  CHECK(PriceOfPass(data, {100, 4}, HeldUp()).compute == Approx(5));
  // The collective starts when the map ends, at 1 s; the product has been running since 0.
  const std::vector<plan::Op> running = {Map(plan::Stream::kContext), On(plan::Stream::kCompute),
                                         On(plan::Stream::kTensor, {0})};
  Contention alone = HeldUp();
  alone.compute.fill(1);
  CHECK(PriceOfPass(running, {1, 4, 100}, alone).compute == Approx(4));
}

TEST_CASE("a pass beside gradients is slower by what its products and its other kernels are", "[price]") {
  const Contention contention = HeldUp();
  CHECK(SlowdownsBeside(contention, plan::Stream::kTensor, 0.8, 0.6).compute == Approx(0.2 * 1.25 + 0.8 + 0.6 * 0.5));
  CHECK(SlowdownsBeside(contention, plan::Stream::kData, 0.8, 0.6).compute == 1.25);
  CHECK(SlowdownsBeside(contention, plan::Stream::kTensor, 0, 0).compute == 1.25);
}

TEST_CASE("late blocks have the tiles that are left for the last multiprocessors", "[price]") {
  const auto late = [](double tiles) { return LateShare(tiles, 100, 16); };
  CHECK(late(84) == 0);     // all on multiprocessors that nothing holds
  CHECK(late(100) == 1);    // one each
  CHECK(late(150) == 0.5);  // one of two
  CHECK(late(190) == 1);    // some of the last have two as well
  CHECK(late(984) == 0.9);
}
