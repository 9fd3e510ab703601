#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "kernels/cuda/launch.h"
#include "kernels/emulation/grid.h"

// What the tests of GPU kernels share. They run in emulation beside the CPU twin in float, on inputs that the storage
// type holds exactly.

namespace isochrone::kernels::checks {

/// Device memory that ends where a page begins that faults, so that a kernel which leaves its array ends the test
/// program. Between the end and that page lie less than 16 bytes where the start is aligned, none where it is not.
template <class T>
class Guarded {
 public:
  Guarded(Index n, bool aligned) : n_(n), slack_(0) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), bytes = sizeof(T) * n;
    const std::size_t usable = (bytes + 16 + page - 1) / page * page;
    total_ = usable + page;
    base_ = static_cast<char*>(mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(base_ != MAP_FAILED);
    REQUIRE(mprotect(base_ + usable, page, PROT_NONE) == 0);
    if (aligned) slack_ = (16 - bytes % 16) % 16;
    start_ = base_ + usable - slack_ - bytes;
    std::memset(base_, 0xff, usable);  // NaN in every type
  }
  Guarded(const std::vector<float>& values, bool aligned) : Guarded(static_cast<Index>(values.size()), aligned) {
    for (Index i = 0; i < n_; ++i) (*this)[i] = T(values[static_cast<std::size_t>(i)]);
  }
  ~Guarded() {
    for (std::size_t i = 0; i < slack_; ++i) CHECK(start_[sizeof(T) * n_ + i] == '\xff');
    CHECK((start_ == base_ || start_[-1] == '\xff'));
    munmap(base_, total_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* Data() { return reinterpret_cast<T*>(start_); }
  T& operator[](Index i) { return Data()[i]; }
  Index Size() const { return n_; }
  std::vector<float> Floats() {
    std::vector<float> out;
    for (Index i = 0; i < n_; ++i) out.push_back(float((*this)[i]));
    return out;
  }

 private:
  Index n_;
  std::size_t slack_, total_;
  char *base_, *start_;
};

/// Draws shapes, data and the order of threads for one case.
class Draw {
 public:
  explicit Draw(unsigned seed) : bits_(seed) {}
  /// 1 to `most`: ones, primes, multiples of a vector and all between.
  Index Size(Index most) {
    constexpr Index kPrimes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 53, 67, 97, 127, 131, 257};
    switch (Below(6)) {
      case 0:
        return 1;
      case 1:
        return std::min(most, kPrimes[Below(19)]);
      case 2:
      case 3:
        return std::min(most, 8 * (1 + Below(std::max<Index>(1, most / 8))));
      default:
        return 1 + Below(most);
    }
  }
  Index Below(Index n) { return static_cast<Index>(bits_() % static_cast<std::uint64_t>(n)); }
  bool Coin() { return Below(2) == 1; }
  float Uniform() { return static_cast<float>(static_cast<double>(bits_() >> 11) * 0x1p-52 - 1); }
  /// Uniform in [-1, 1] and held exactly by T.
  template <class T>
  std::vector<float> Values(Index n, float scale = 1) {
    std::vector<float> out;
    for (Index i = 0; i < n; ++i) out.push_back(float(T(scale * Uniform())));
    return out;
  }
  emulation::Order Order() { return static_cast<emulation::Order>(Below(3)); }

 private:
  std::mt19937_64 bits_;
};

inline constexpr int kShapes = 200;

/// Calls body(draw) with kShapes draws.
template <class Body>
void ForShapes(Body body) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    Draw draw(seed);
    emulation::SetOrder(draw.Order());
    INFO("shape " << seed);
    body(draw);
  }
  emulation::SetOrder(emulation::Order::kAscending);
}

template <class T>
inline constexpr int kFractionBits = 23;
template <>
inline constexpr int kFractionBits<Bf16> = 7;
template <>
inline constexpr int kFractionBits<Fp16> = 10;

/// The unit in the last place of a T of this size.
template <class T>
double Ulp(double value) {
  const double least = std::is_same_v<T, Fp16> ? 0x1p-14 : 0x1p-126;
  return std::ldexp(1.0, std::ilogb(std::max(std::abs(value), least)) - kFractionBits<T>);
}

/// The largest |got - want| over its bound. float: 1e-5 of the largest |want| or of 1. Bf16, Fp16: that and one unit in
/// the last place of `want`, since a value that is rounded once is off by half a unit, and one more half where the
/// twin's own rounding in float lies across a tie.
template <class T>
double Excess(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  double size = 1, excess = 0;
  for (const float w : want)
    if (std::isfinite(w)) size = std::max(size, std::abs(double(w)));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) continue;
    if (!std::isfinite(got[i]) || !std::isfinite(want[i])) return std::numeric_limits<double>::infinity();
    const double bound = 1e-5 * size + (std::is_same_v<T, float> ? 0 : Ulp<T>(want[i]));
    excess = std::max(excess, std::abs(double(got[i]) - double(want[i])) / bound);
  }
  return excess;
}

}  // namespace isochrone::kernels::checks

/// The array on the device equals that of the twin, within the bound of its storage type.
#define CHECK_NEAR(T, device, twin) CHECK(::isochrone::kernels::checks::Excess<T>((device).Floats(), (twin)) <= 1)
