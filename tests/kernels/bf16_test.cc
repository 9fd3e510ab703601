#include "kernels/bf16.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using isochrone::kernels::Bf16;

TEST_CASE("bf16 rounds to nearest, ties to even", "[bf16]") {
  CHECK(float(Bf16(1.0f)) == 1.0f);
  CHECK(float(Bf16(1.0f + 0x1p-8f)) == 1.0f);                       // tie, even below
  CHECK(float(Bf16(1.0f + 0x1p-8f + 0x1p-20f)) == 1.0f + 0x1p-7f);  // just above the tie
  CHECK(float(Bf16(1.0f + 3 * 0x1p-8f)) == 1.0f + 2 * 0x1p-7f);     // tie, even above
  CHECK(float(Bf16(-1.0f - 3 * 0x1p-8f)) == -1.0f - 2 * 0x1p-7f);
  CHECK(std::signbit(float(Bf16(-0.0f))));
}

TEST_CASE("bf16 overflows to infinity and keeps infinities, NaN and subnormals", "[bf16]") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(float(Bf16(std::numeric_limits<float>::max())) == infinity);
  CHECK(float(Bf16(-infinity)) == -infinity);
  CHECK(std::isnan(float(Bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(float(Bf16(std::bit_cast<float>(0x7f800001u)))));  // its payload lies below the kept bits
  CHECK(float(Bf16(0x1p-133f)) == 0x1p-133f);
}

TEST_CASE("every bf16 comes back from float as it was", "[bf16]") {
  int changed = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = std::bit_cast<float>(bits << 16);
    if (!std::isnan(value) && Bf16(value).bits != bits) ++changed;
  }
  CHECK(changed == 0);
}
