#include "costmodel/offload.h"

#include <catch2/catch.hpp>

#include "costmodel/pass_price.h"

using namespace isochrone;
using namespace isochrone::costmodel;

TEST_CASE("the efficiencies of ZeRO-Infinity's figure 3 follow from intensity, bandwidth and peak", "[offload]") {
  const FlopsPerSecond peak(70e12);
  const double sequence = 1024, hidden = 2048;
  CHECK(OffloadEfficiency(sequence * 1, BytesPerSecond(70e9), peak) > 0.5);        // parameters, one sequence
  CHECK(OffloadEfficiency(sequence * 2 / 4, BytesPerSecond(1.5e12), peak) > 0.9);  // optimizer state, two
  CHECK(OffloadEfficiency(24 * hidden * 1, BytesPerSecond(2e9), peak) > 0.5);      // checkpoints of every layer
  CHECK(OffloadEfficiency(sequence * 1, BytesPerSecond(70e9), peak) == Approx(0.506).epsilon(1e-3));
}

TEST_CASE("the closed form is what the engine plays when a copy waits for its product, and a bound when it does not",
          "[offload]") {
  const double flops = 4e12, bytes = 3e9, rate = 2e14, bandwidth = 1.6e10;
  const std::vector<double> seconds = {flops / rate, bytes / bandwidth};
  plan::Op product{.name = "product", .kind = plan::Gemm{}, .in = {}, .out = {}, .after = {}};
  plan::Op copy{.name = "copy",
                .stream = plan::Stream::kCopy,
                .kind = plan::Transfer{.kind = plan::TransferKind::kFromHost, .bytes = Bytes(bytes)},
                .in = {},
                .out = {},
                .after = {0}};
  const double closed = OffloadEfficiency(flops / bytes, BytesPerSecond(bandwidth), FlopsPerSecond(rate));
  const auto played = [&] { return seconds[0] / PriceOfPass({product, copy}, seconds, {}).total; };
  CHECK(played() == Approx(closed).epsilon(1e-12));
  copy.after.clear();
  CHECK(played() > closed);
}
