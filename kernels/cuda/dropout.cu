#include "kernels/cuda/dropout.cuh"

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

template <class T>
void Dropout(Stream stream, std::uint64_t seed, std::uint64_t sequence, const Shard& shard, double rate, const T* x,
             const T* bias, const T* residual, T* out) {
  ISO_CHECK(rate >= 0 && rate < 1);
  const auto threshold = static_cast<std::uint32_t>(rate * 4294967296.0);
  const float scale = static_cast<float>(1 / (1 - rate));
  // Four elements share one draw of the generator, so a row must begin with a whole draw.
  const bool fits = Fits<T>(shard.columns, x, bias, residual, out) && shard.first % 4 == 0 && shard.pitch % 4 == 0;
  WithVectors<T>(fits, [&](auto n) {
    const auto kernel = DropoutKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(shard.rows), ThreadsFor(shard.columns / n()), 0, stream, seed, sequence,
               shard.columns, shard.first, shard.pitch, threshold, scale, x, bias, residual, out);
  });
}

template <class T>
void DropoutBackward(Stream stream, std::uint64_t seed, std::uint64_t sequence, const Shard& shard, double rate,
                     const T* dout, T* dx) {
  Dropout<T>(stream, seed, sequence, shard, rate, dout, nullptr, nullptr, dx);
}

#define ISO_DROPOUT(T)                                                                                               \
  template void Dropout<T>(Stream, std::uint64_t, std::uint64_t, const Shard&, double, const T*, const T*, const T*, \
                           T*);                                                                                      \
  template void DropoutBackward<T>(Stream, std::uint64_t, std::uint64_t, const Shard&, double, const T*, T*);
ISO_FOR_GPU(ISO_DROPOUT)

}  // namespace isochrone::kernels::cuda
