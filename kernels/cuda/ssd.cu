#include "kernels/cuda/ssd.cuh"

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

template <class T>
void SsdScan(Stream stream, const SsdShape& s, const T* x, const float* dt, const float* a, const T* b, const T* c,
             const float* skip, const float* initial, T* out, float* state) {
  ISO_CHECK(s.chunk > 0 && s.chunk <= kSsdChunk && s.groups > 0 && s.heads % s.groups == 0);
  const auto heads = static_cast<unsigned>(s.heads), batch = static_cast<unsigned>(s.batch);
  const dim3 chunks(static_cast<unsigned>(s.Chunks()), heads, batch);
  const dim3 parts(static_cast<unsigned>((s.states * s.head_size + kSsdThreads - 1) / kSsdThreads), heads, batch);
  const auto of_chunk = SsdChunkStateKernel<T>;
  const auto output = SsdOutputKernel<T>;
  ISO_LAUNCH(of_chunk, chunks, kSsdThreads, 0, stream, s, x, dt, a, b, state);
  ISO_LAUNCH(SsdPassStatesKernel, parts, kSsdThreads, 0, stream, s, dt, a, initial, state);
  ISO_LAUNCH(output, chunks, kSsdThreads, 0, stream, s, x, dt, a, b, c, skip, state, out);
}

#define ISO_SSD(T)                                                                                            \
  template void SsdScan<T>(Stream, const SsdShape&, const T*, const float*, const float*, const T*, const T*, \
                           const float*, const float*, T*, float*);
ISO_FOR_GPU(ISO_SSD)

}  // namespace isochrone::kernels::cuda
