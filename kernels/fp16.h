#pragma once

#include <bit>
#include <cstdint>

#include "kernels/types.h"

namespace isochrone::kernels {

/// IEEE binary16. Storage only: arithmetic happens in float.
///
/// From float rounds to nearest, ties to even; above 65504 (past its half unit) to infinity; a NaN stays a NaN.
/// Source  IEEE 754-2019, sections 3.6 and 4.3.
struct Fp16 {
  std::uint16_t bits;

  Fp16() = default;
  explicit constexpr Fp16(float value) : bits(Round(std::bit_cast<std::uint32_t>(value))) {}
  explicit constexpr operator float() const { return Widen(bits); }

 private:
  static constexpr std::uint16_t Round(std::uint32_t u) {
    const std::uint32_t sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {  // below 2^-14: units of 2^-24, which adding 0.5 leaves in the last bits
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
    }
    const std::uint32_t rebased = magnitude - 0x38000000u;  // exponent bias 127 to 15
    return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
  }
  static constexpr float Widen(std::uint16_t h) {
    const std::uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 0x1fu, fraction = h & 0x3ffu;
    if (exponent == 0) {
      const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
    }
    const std::uint32_t rebased = exponent == 0x1fu ? 0xffu : exponent + 112;
    return std::bit_cast<float>(sign | (rebased << 23) | (fraction << 13));
  }
};

template <>
struct ComputeOf<Fp16> {
  using Type = float;
};

}  // namespace isochrone::kernels
