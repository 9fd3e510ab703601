#include "kernels/cuda/tables.cuh"

#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

template <class T>
void Embedding(Stream stream, Index tokens, Index hidden, Index first, Index last, const TokenId* ids, const T* table,
               T* out) {
  WithVectors<T>(Fits<T>(hidden, table, out), [&](auto n) {
    const auto kernel = EmbeddingKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, hidden, first, last, ids,
               table, out);
  });
}

template <class T>
void EmbeddingBackward(Stream stream, Index tokens, Index hidden, Index first, Index last, const TokenId* ids,
                       const T* dout, float* dtable) {
  WithVectors<T>(Fits<T>(hidden, dout, dtable), [&](auto n) {
    const auto kernel = EmbeddingBackwardKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, tokens, hidden, first, last,
               ids, dout, dtable);
  });
}

template <class T>
void AddPositions(Stream stream, Index batch, Index positions, Index hidden, Index first_position, const T* table,
                  T* x) {
  const T* rows = table + first_position * hidden;
  WithVectors<T>(Fits<T>(hidden, rows, x), [&](auto n) {
    const auto kernel = AddPositionsKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(batch * positions), ThreadsFor(hidden / n()), 0, stream, positions, hidden,
               rows, x);
  });
}

template <class T>
void AddPositionsBackward(Stream stream, Index batch, Index positions, Index hidden, Index first_position, const T* dx,
                          float* dtable) {
  float* rows = dtable + first_position * hidden;
  WithVectors<T>(Fits<T>(hidden, dx, rows), [&](auto n) {
    const auto kernel = AddPositionsBackwardKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(positions), ThreadsFor(hidden / n()), 0, stream, batch, positions, hidden,
               dx, rows);
  });
}

inline __global__ void ClearKernel(Index n, Index* to) {
  ForElements<1>(n, [&](Index i) { to[i] = 0; });
}

void PlanPermutation(Stream stream, Index assignments, Index experts, const ExpertId* chosen, Index* offsets,
                     Index* row_of) {
  ISO_LAUNCH(ClearKernel, BlocksFor(experts + 1, 128), 128, 0, stream, experts + 1, offsets);
  ISO_LAUNCH(CountExpertsKernel, BlocksFor(assignments, 128), 128, 0, stream, assignments, chosen, offsets);
  ISO_LAUNCH(SumOffsetsKernel, 1, kWarp, 0, stream, experts, offsets);
  ISO_LAUNCH(AssignRowsKernel, static_cast<unsigned>(experts + 1), kPlanThreads, 0, stream, assignments, experts,
             chosen, offsets, row_of);
}

template <class T>
void Permute(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const T* x, T* out) {
  WithVectors<T>(Fits<T>(hidden, x, out), [&](auto n) {
    const auto kernel = PermuteKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens * k), ThreadsFor(hidden / n()), 0, stream, k, hidden, row_of, x,
               out);
  });
}

template <class T>
void Combine(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const float* weight, const T* y,
             T* out) {
  WithVectors<T>(Fits<T>(hidden, y, out), [&](auto n) {
    const auto kernel = GatherKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens), ThreadsFor(hidden / n()), 0, stream, k, hidden, row_of, weight, y,
               out);
  });
}

template <class T>
void PermuteBackward(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const T* dout, T* dx) {
  Combine<T>(stream, tokens, k, hidden, row_of, nullptr, dout, dx);
}

template <class T>
void CombineBackward(Stream stream, Index tokens, Index k, Index hidden, const Index* row_of, const float* weight,
                     const T* y, const T* dout, T* dy, float* dweight) {
  WithVectors<T>(Fits<T>(hidden, y, dout, dy), [&](auto n) {
    const auto kernel = CombineBackwardKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(tokens * k), ThreadsFor(hidden / n()), 0, stream, k, hidden, row_of,
               weight, y, dout, dy, dweight);
  });
}

#define ISO_TABLES(T)                                                                                               \
  template void Embedding<T>(Stream, Index, Index, Index, Index, const TokenId*, const T*, T*);                     \
  template void EmbeddingBackward<T>(Stream, Index, Index, Index, Index, const TokenId*, const T*, float*);         \
  template void AddPositions<T>(Stream, Index, Index, Index, Index, const T*, T*);                                  \
  template void AddPositionsBackward<T>(Stream, Index, Index, Index, Index, const T*, float*);                      \
  template void Permute<T>(Stream, Index, Index, Index, const Index*, const T*, T*);                                \
  template void PermuteBackward<T>(Stream, Index, Index, Index, const Index*, const T*, T*);                        \
  template void Combine<T>(Stream, Index, Index, Index, const Index*, const float*, const T*, T*);                  \
  template void CombineBackward<T>(Stream, Index, Index, Index, const Index*, const float*, const T*, const T*, T*, \
                                   float*);
ISO_FOR_GPU(ISO_TABLES)

}  // namespace isochrone::kernels::cuda
