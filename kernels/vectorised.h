#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

// For the .cc files of this folder: loops that the compiler vectorises, for the widest vectors that the machine has.

/// On a function with hot loops: compiled for AVX-512, AVX2 and the baseline, chosen when the program starts. Clang 14
/// cannot do this for templates, and ThreadSanitizer cannot run the choosers; there the baseline serves.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define ISO_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ISO_VECTORISED
#endif

/// On a helper of such a function, so that it is compiled for the same machine.
#define ISO_INLINE inline __attribute__((always_inline))

#define ISO_PRAGMA(text) _Pragma(#text)
/// Before a loop whose iterations do not depend on one another.
#define ISO_SIMD ISO_PRAGMA(omp simd)
/// Before a loop that sums (or takes the maximum) into `variable`; the order of additions is free.
#define ISO_SIMD_SUM(...) ISO_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define ISO_SIMD_MAX(...) ISO_PRAGMA(omp simd reduction(max : __VA_ARGS__))

/// Explicit instantiation for the storage types; `F` is a macro taking the type.
#define ISO_FOR_REAL(F) F(float) F(double)
#define ISO_FOR_STORAGE(F) ISO_FOR_REAL(F) F(Bf16)

namespace isochrone::kernels {

template <class C>
struct ExpParts;
template <>
struct ExpParts<float> {
  using Bits = std::uint32_t;
  static constexpr int kMantissa = 23, kBias = 127, kDegree = 7;
  static constexpr float kLow = -86.98f, kHigh = 88.72283f;
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
};
template <>
struct ExpParts<double> {
  using Bits = std::uint64_t;
  static constexpr int kMantissa = 52, kBias = 1023, kDegree = 13;
  static constexpr double kLow = -708.0, kHigh = 709.782712893384;
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
};

template <class C>
inline constexpr C kInverseFactorial[14] = {
    C(1),        C(1),         C(1) / 2,      C(1) / 6,       C(1) / 24,       C(1) / 120,       C(1) / 720,
    C(1) / 5040, C(1) / 40320, C(1) / 362880, C(1) / 3628800, C(1) / 39916800, C(1) / 479001600, C(1) / C(6227020800)};

/// e^x without a branch or a table.
///
///   e^x = 2^n p(r),  n = round(x / ln 2),  r = x - n ln 2 in two parts,  p = Taylor polynomial, |r| <= 0.347
///
/// Truncation is below 6e-9 (float, degree 7) and 5e-18 (double, degree 13) of the result, so rounding dominates:
/// within 3 units in the last place (tested). 0 below e^kLow (1.7e-38, 3.3e-308), infinity above the largest, NaN for
/// NaN. Source  Muller, "Elementary Functions", 3rd ed., 2016, section 11.1 (two-part reduction after Cody and Waite).
template <class C>
ISO_INLINE C Exp(C x) {
  using Parts = ExpParts<C>;
  using Bits = typename Parts::Bits;
  constexpr C kLog2E = C(1.4426950408889634074);
  constexpr C kRound = C(1.5) * C(Bits{1} << Parts::kMantissa);  // adding it leaves round(x) in the low bits
  C clamped = x < Parts::kLow ? Parts::kLow : x;
  clamped = clamped > Parts::kHigh ? Parts::kHigh : clamped;
  const C shifted = clamped * kLog2E + kRound;
  const C n = shifted - kRound;
  const C r = (clamped - n * Parts::kLn2High) - n * Parts::kLn2Low;
  C p = kInverseFactorial<C>[Parts::kDegree];
#pragma GCC unroll 16
  for (int k = Parts::kDegree - 1; k >= 0; --k) p = p * r + kInverseFactorial<C>[k];
  // 2^n as 2 * 2^(n-1): n = 128 (1024) has no exponent of its own.
  const Bits exponent = std::bit_cast<Bits>(shifted) + Bits(Parts::kBias - 1);
  const C half_scale = std::bit_cast<C>(Bits(exponent << Parts::kMantissa));
  C result = (p * C(2)) * half_scale;
  result = x < Parts::kLow ? C(0) : result;
  return x > Parts::kHigh ? std::bit_cast<C>(Bits(Bits(2 * Parts::kBias + 1) << Parts::kMantissa)) : result;
}

/// The larger, or a if b is NaN. By value: loops with std::max, which takes references, do not vectorise.
template <class C>
ISO_INLINE C Larger(C a, C b) {
  return a < b ? b : a;
}

/// 1 / (1 + e^-x)
template <class C>
ISO_INLINE C Sigmoid(C x) {
  return C(1) / (C(1) + Exp(-x));
}

}  // namespace isochrone::kernels
