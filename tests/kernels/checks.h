#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels/types.h"

// What the tests of kernels share: random data, norms of differences, and gradients by central differences.

namespace isochrone::kernels::checks {

/// Uniform in [-1, 1], the same for a seed on every machine.
inline std::vector<double> Random(Index n, unsigned seed) {
  std::mt19937_64 bits(seed);
  std::vector<double> out(static_cast<std::size_t>(n));
  for (double& v : out) v = static_cast<double>(bits() >> 11) * 0x1p-52 - 1;
  return out;
}

template <class T>
std::vector<T> As(const std::vector<double>& x) {
  std::vector<T> out;
  for (double v : x) out.push_back(T(Compute<T>(v)));
  return out;
}

template <class T>
std::vector<double> AsDouble(const std::vector<T>& x) {
  std::vector<double> out;
  for (T v : x) out.push_back(double(Compute<T>(v)));
  return out;
}

inline double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Largest |a - b|, in units of the largest |b| or 1.
inline double Error(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) != std::isnan(b[i])) return INFINITY;
    if (a[i] == b[i] || std::isnan(a[i])) continue;  // equal infinities too
    difference = std::max(difference, std::abs(a[i] - b[i]));
    size = std::max(size, std::abs(b[i]));
  }
  return difference / size;
}

/// d loss / d x by central differences; `loss` reads x anew at each call. With h = 1e-5 the error is about 1e-10 of
/// rounding and h^2/6 times the third derivative, so 1e-7 tells a wrong formula from a right one.
inline std::vector<double> Differences(std::vector<double>& x, const std::function<double()>& loss, double h = 1e-5) {
  std::vector<double> out;
  for (double& v : x) {
    const double kept = v;
    v = kept + h;
    const double up = loss();
    v = kept - h;
    const double down = loss();
    v = kept;
    out.push_back((up - down) / (2 * h));
  }
  return out;
}

inline constexpr double kDifferenceTolerance = 1e-7;

}  // namespace isochrone::kernels::checks
