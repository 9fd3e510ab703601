#pragma once

#include <bit>
#include <cstdint>

namespace isochrone::kernels {

/// Brain floating point: the upper 16 bits of an IEEE binary32. Storage only: arithmetic happens in float.
///
/// From float rounds to nearest, ties to even; overflow goes to infinity; a NaN stays a NaN (made quiet).
/// Source  "BFLOAT16 – Hardware Numerics Definition", Intel, 338302-001, 2018.
struct Bf16 {
  std::uint16_t bits;

  Bf16() = default;
  explicit constexpr Bf16(float value) : bits(Round(std::bit_cast<std::uint32_t>(value))) {}
  explicit constexpr operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  // Written without branches, so that loops of conversions vectorise.
  static constexpr std::uint16_t Round(std::uint32_t u) {
    const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    const std::uint32_t quiet = (u >> 16) | 0x40u;
    return static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
};

}  // namespace isochrone::kernels
