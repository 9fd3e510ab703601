#include "kernels/dropout.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/philox.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr Index kPiece = 512;  // elements whose random words are held at once

// Calls body(row, first column, columns, words) over the shard in pieces.
template <class Body>
void ForEachPiece(std::uint64_t seed, std::uint64_t stream, const Shard& s, Body body) {
  alignas(64) std::uint32_t words[kPiece];
  for (Index r = 0; r < s.rows; ++r) {
    for (Index c = 0; c < s.columns; c += kPiece) {
      const Index n = std::min(kPiece, s.columns - c);
      RandomWords(seed, stream, s.first + r * s.pitch + c, n, words);
      body(r * s.columns + c, c, n, words);
    }
  }
}

struct Keep {
  explicit Keep(double rate) : threshold(static_cast<std::uint32_t>(rate * 4294967296.0)), scale(1 / (1 - rate)) {
    ISO_CHECK(rate >= 0 && rate < 1);
  }
  std::uint32_t threshold;
  double scale;
};

// A null bias or residual is told by the flags, so that the loop has no branch.
template <bool kBias, bool kResidual, class T>
ISO_VECTORISED void Piece(Index n, Keep keep, const std::uint32_t* words, const T* x, const T* bias, const T* residual,
                          T* out) {
  using C = Compute<T>;
  const C scale = C(keep.scale);
  ISO_SIMD
  for (Index i = 0; i < n; ++i) {
    C value = C(x[i]);
    if constexpr (kBias) value += C(bias[i]);
    value = words[i] >= keep.threshold ? value * scale : C(0);
    if constexpr (kResidual) value += C(residual[i]);
    Put(out[i], value);
  }
}

}  // namespace

template <class T>
void Dropout(std::uint64_t seed, std::uint64_t stream, const Shard& shard, double rate, const T* x, const T* bias,
             const T* residual, T* out) {
  const Keep keep(rate);
  ForEachPiece(seed, stream, shard, [&](Index at, Index column, Index n, const std::uint32_t* words) {
    if (bias && residual) Piece<true, true>(n, keep, words, x + at, bias + column, residual + at, out + at);
    else if (bias) Piece<true, false, T>(n, keep, words, x + at, bias + column, nullptr, out + at);
    else if (residual) Piece<false, true, T>(n, keep, words, x + at, nullptr, residual + at, out + at);
    else Piece<false, false, T>(n, keep, words, x + at, nullptr, nullptr, out + at);
  });
}

template <class T>
void DropoutBackward(std::uint64_t seed, std::uint64_t stream, const Shard& shard, double rate, const T* dout, T* dx) {
  Dropout<T>(seed, stream, shard, rate, dout, nullptr, nullptr, dx);
}

#define ISO_DROPOUT(T)                                                                                            \
  template void Dropout<T>(std::uint64_t, std::uint64_t, const Shard&, double, const T*, const T*, const T*, T*); \
  template void DropoutBackward<T>(std::uint64_t, std::uint64_t, const Shard&, double, const T*, T*);
ISO_FOR_STORAGE(ISO_DROPOUT)

}  // namespace isochrone::kernels
