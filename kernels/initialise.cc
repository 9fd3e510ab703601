#include "kernels/initialise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/philox.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr Index kPiece = 512;  // elements whose random words are held at once

// Element of a pair of words: the cosine for an even index, the sine for an odd one.
double Normal(const std::uint32_t* pair, bool odd) {
  constexpr double kUnit = 1 / 4294967296.0;
  const double radius = std::sqrt(-2 * std::log((pair[0] + 0.5) * kUnit));
  const double angle = 2 * std::numbers::pi * pair[1] * kUnit;
  return radius * (odd ? std::sin(angle) : std::cos(angle));
}

template <class T>
void Range(std::uint64_t seed, Index first, Index count, double mean, double deviation, T* out) {
  std::uint32_t words[kPiece + 2];
  while (count > 0) {
    const Index n = std::min(kPiece, count);
    const Index even = first - first % 2;
    RandomWords(seed, 0, even, n + 2, words);
    for (Index i = 0; i < n; ++i) {
      const Index at = first + i - even;
      Put(out[i], Compute<T>(mean + deviation * Normal(words + (at - at % 2), at % 2 != 0)));
    }
    first += n;
    out += n;
    count -= n;
  }
}

}  // namespace

template <class T>
void InitialiseNormal(std::uint64_t seed, const Shard& s, double mean, double deviation, T* out) {
  for (Index r = 0; r < s.rows; ++r)
    Range(seed, s.first + r * s.pitch, s.columns, mean, deviation, out + r * s.columns);
}

#define ISO_INITIALISE(T) template void InitialiseNormal<T>(std::uint64_t, const Shard&, double, double, T*);
ISO_FOR_STORAGE(ISO_INITIALISE)

}  // namespace isochrone::kernels
