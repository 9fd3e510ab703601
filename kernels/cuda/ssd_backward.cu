#include "kernels/cuda/ssd_backward.cuh"

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

Index SsdBackwardWorkspace(const SsdShape& s) {
  return s.batch * s.heads * (s.Chunks() + 1) * s.states * s.head_size + 2 * s.batch * s.Chunks() * s.heads;
}

template <class T>
void SsdScanBackward(Stream stream, const SsdShape& s, const T* x, const float* dt, const float* a, const T* b,
                     const T* c, const float* skip, const float* state, const T* dout, const float* dfinal,
                     const SsdGradients<float>& gradients, float* workspace) {
  ISO_CHECK(s.chunk > 0 && s.chunk <= kSsdChunk && s.groups > 0 && s.heads % s.groups == 0);
  const SsdInputs<T> in{x, b, c, dout, dt, a, skip};
  const auto chunks = static_cast<unsigned>(s.Chunks()), heads = static_cast<unsigned>(s.heads);
  const auto batch = static_cast<unsigned>(s.batch), groups = static_cast<unsigned>(s.groups);
  const Index size = s.states * s.head_size, parts = s.batch * s.Chunks();
  float* partial = workspace + s.batch * s.heads * (s.Chunks() + 1) * size;
  const auto of_state = SsdStateGradientKernel<T>;
  const auto of_chunk = SsdGradientKernel<T>;
  ISO_LAUNCH(of_state, dim3(chunks, heads, batch), kSsdThreads, 0, stream, s, in, workspace);
  ISO_LAUNCH(SsdPassGradientsKernel, dim3(static_cast<unsigned>((size + kSsdThreads - 1) / kSsdThreads), heads, batch),
             kSsdThreads, 0, stream, s, dt, a, dfinal, workspace, gradients.initial);
  ISO_LAUNCH(of_chunk, dim3(chunks, groups, batch), kSsdThreads,
             static_cast<unsigned>((4 + 3 * kSsdRows) * s.chunk) * sizeof(float), stream, s, in, state, workspace,
             gradients, partial);
  ISO_LAUNCH(SsdAddPartsKernel, heads, kSsdThreads, 0, stream, parts, s.heads, partial, gradients.a, gradients.skip);
}

#define ISO_SSD_BACKWARD(T)                                                                                           \
  template void SsdScanBackward<T>(Stream, const SsdShape&, const T*, const float*, const float*, const T*, const T*, \
                                   const float*, const float*, const T*, const float*, const SsdGradients<float>&,    \
                                   float*);
ISO_FOR_GPU(ISO_SSD_BACKWARD)

}  // namespace isochrone::kernels::cuda
