#include "kernels/fp16.h"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

using isochrone::kernels::Fp16;

TEST_CASE("every half-precision number survives a trip through float", "[fp16]") {
  int wrong = 0;
  for (int bits = 0; bits < 0x10000; ++bits) {
    Fp16 h;
    h.bits = static_cast<std::uint16_t>(bits);
    const float wide = float(h);
    if (std::isnan(wide)) wrong += !std::isnan(float(Fp16(wide)));
    else wrong += Fp16(wide).bits != bits;
  }
  CHECK(wrong == 0);
}

TEST_CASE("float rounds to the nearest half-precision number, ties to even", "[fp16]") {
  CHECK(Fp16(1.0f).bits == 0x3c00);
  CHECK(Fp16(65504.0f).bits == 0x7bff);
  CHECK(Fp16(65519.996f).bits == 0x7bff);
  CHECK(Fp16(65520.0f).bits == 0x7c00);
  CHECK(Fp16(0x1p-24f).bits == 1);
  CHECK(Fp16(0x1p-25f).bits == 0);
  CHECK(Fp16(0x1.8p-24f).bits == 2);
  CHECK(Fp16(-0.0f).bits == 0x8000);
  int wrong = 0;
  for (int bits = 0; bits < 0x7bff; ++bits) {  // the middle between two neighbours, and just beside it
    Fp16 low, high;
    low.bits = static_cast<std::uint16_t>(bits);
    high.bits = static_cast<std::uint16_t>(bits + 1);
    const float middle = (float(low) + float(high)) / 2;
    wrong += Fp16(middle).bits != (bits % 2 == 0 ? bits : bits + 1);
    wrong += Fp16(std::nextafter(middle, 0.0f)).bits != bits;
    wrong += Fp16(std::nextafter(middle, 1e9f)).bits != bits + 1;
  }
  CHECK(wrong == 0);
}
