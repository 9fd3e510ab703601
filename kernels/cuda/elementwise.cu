#include "kernels/cuda/elementwise.cuh"

#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {
namespace {

constexpr unsigned kFlatThreads = 256;

/// Blocks (rows, parts of a row) and threads for ForRowPart.
struct RowParts {
  dim3 blocks;
  unsigned threads;
  RowParts(Index rows, Index packs)
      : blocks(static_cast<unsigned>(rows), static_cast<unsigned>((packs + kMaxThreads - 1) / kMaxThreads)),
        threads(ThreadsFor(packs)) {}
};

template <class T>
void Sum(Stream stream, Index n, const T* a, float alpha, const T* b, T* out) {
  WithVectors<T>(Fits<T>(n, a, b, out), [&](auto width) {
    const auto kernel = SumKernel<T, width()>;
    ISO_LAUNCH(kernel, BlocksFor(n / width(), kFlatThreads), kFlatThreads, 0, stream, n, a, alpha, b, out);
  });
}

template <class Curve, class T>
void ActivateBy(Stream stream, Index tokens, Index width, const T* x, const T* bias, T* out) {
  WithVectors<T>(Fits<T>(width, x, bias, out), [&](auto n) {
    const RowParts parts(tokens, width / n());
    const auto kernel = ActivateKernel<Curve, T, n()>;
    ISO_LAUNCH(kernel, parts.blocks, parts.threads, 0, stream, width, x, bias, out);
  });
}

template <class Curve, class T>
void ActivateBackwardBy(Stream stream, Index tokens, Index width, const T* x, const T* bias, const T* dout, T* dx) {
  WithVectors<T>(Fits<T>(width, x, bias, dout, dx), [&](auto n) {
    const RowParts parts(tokens, width / n());
    const auto kernel = ActivateBackwardKernel<Curve, T, n()>;
    ISO_LAUNCH(kernel, parts.blocks, parts.threads, 0, stream, width, x, bias, dout, dx);
  });
}

template <class Curve, class T>
void GatedBy(Stream stream, Index tokens, Index width, Index pitch, const T* gate, const T* up, const T* gate_bias,
             const T* up_bias, T* out) {
  const bool fits = Fits<T>(width, gate, up, gate_bias, up_bias, out) && pitch % kVector<T> == 0;
  WithVectors<T>(fits, [&](auto n) {
    const RowParts parts(tokens, width / n());
    const auto kernel = GatedActivateKernel<Curve, T, n()>;
    ISO_LAUNCH(kernel, parts.blocks, parts.threads, 0, stream, width, pitch, gate, up, gate_bias, up_bias, out);
  });
}

template <class Curve, class T>
void GatedBackwardBy(Stream stream, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                     const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup) {
  const bool fits = Fits<T>(width, gate, up, gate_bias, up_bias, dout, dgate, dup) && pitch % kVector<T> == 0;
  WithVectors<T>(fits, [&](auto n) {
    const RowParts parts(tokens, width / n());
    const auto kernel = GatedActivateBackwardKernel<Curve, T, n()>;
    ISO_LAUNCH(kernel, parts.blocks, parts.threads, 0, stream, width, pitch, gate, up, gate_bias, up_bias, dout, dgate,
               dup);
  });
}

template <class T>
void Rotate(Stream stream, Index batch, Index positions, Index heads, Index head_size, Index pitch, float direction,
            const float* cosine, const float* sine, T* x) {
  const Index half = head_size / 2;
  if (half == 0) return;
  WithVectors<T>(Fits<T>(half, cosine, sine, x) && pitch % kVector<T> == 0, [&](auto n) {
    const auto kernel = RopeKernel<T, n()>;
    ISO_LAUNCH(kernel, static_cast<unsigned>(batch * positions), ThreadsFor(heads * half / n()), 0, stream, positions,
               heads, half, pitch, direction, cosine, sine, x);
  });
}

}  // namespace

template <class T>
void Add(Stream stream, Index n, const T* a, const T* b, T* out) {
  Sum(stream, n, a, 1, b, out);
}
template <class T>
void Axpy(Stream stream, Index n, float alpha, const T* x, T* y) {
  Sum<T>(stream, n, y, alpha, x, y);
}
template <class T>
void Scale(Stream stream, Index n, float alpha, T* x) {
  Sum<T>(stream, n, x, alpha, nullptr, x);
}

template <class From, class To>
void Cast(Stream stream, Index n, const From* from, To* to) {
  using Narrow = std::conditional_t<(sizeof(From) < sizeof(To)), From, To>;
  WithVectors<Narrow>(Fits<Narrow>(n, from, to), [&](auto width) {
    const auto kernel = CastKernel<From, To, width()>;
    ISO_LAUNCH(kernel, BlocksFor(n / width(), kFlatThreads), kFlatThreads, 0, stream, n, from, to);
  });
}

template <class T>
void AddBias(Stream stream, Index tokens, Index width, const T* x, const T* bias, T* out) {
  WithVectors<T>(Fits<T>(width, x, bias, out), [&](auto n) {
    const RowParts parts(tokens, width / n());
    const auto kernel = AddBiasKernel<T, n()>;
    ISO_LAUNCH(kernel, parts.blocks, parts.threads, 0, stream, width, x, bias, out);
  });
}

template <class T>
void Activate(Stream stream, Activation f, Index tokens, Index width, const T* x, const T* bias, T* out) {
  switch (f) {
    case Activation::kGelu:
      return ActivateBy<GeluCurve>(stream, tokens, width, x, bias, out);
    case Activation::kSquaredRelu:
      return ActivateBy<SquaredReluCurve>(stream, tokens, width, x, bias, out);
    case Activation::kSilu:
      return ActivateBy<SiluCurve>(stream, tokens, width, x, bias, out);
    case Activation::kSoftplus:
      return ActivateBy<SoftplusCurve>(stream, tokens, width, x, bias, out);
  }
}

template <class T>
void ActivateBackward(Stream stream, Activation f, Index tokens, Index width, const T* x, const T* bias, const T* dout,
                      T* dx) {
  switch (f) {
    case Activation::kGelu:
      return ActivateBackwardBy<GeluCurve>(stream, tokens, width, x, bias, dout, dx);
    case Activation::kSquaredRelu:
      return ActivateBackwardBy<SquaredReluCurve>(stream, tokens, width, x, bias, dout, dx);
    case Activation::kSilu:
      return ActivateBackwardBy<SiluCurve>(stream, tokens, width, x, bias, dout, dx);
    case Activation::kSoftplus:
      return ActivateBackwardBy<SoftplusCurve>(stream, tokens, width, x, bias, dout, dx);
  }
}

template <class T>
void GatedActivate(Stream stream, Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                   const T* gate_bias, const T* up_bias, T* out) {
  if (f == Gate::kSwiGlu) GatedBy<SiluCurve>(stream, tokens, width, pitch, gate, up, gate_bias, up_bias, out);
  else GatedBy<GeluCurve>(stream, tokens, width, pitch, gate, up, gate_bias, up_bias, out);
}

template <class T>
void GatedActivateBackward(Stream stream, Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                           const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup) {
  if (f == Gate::kSwiGlu)
    GatedBackwardBy<SiluCurve>(stream, tokens, width, pitch, gate, up, gate_bias, up_bias, dout, dgate, dup);
  else GatedBackwardBy<GeluCurve>(stream, tokens, width, pitch, gate, up, gate_bias, up_bias, dout, dgate, dup);
}

template <class T>
void Rope(Stream stream, Index batch, Index positions, Index heads, Index head_size, Index pitch, const float* cosine,
          const float* sine, T* x) {
  Rotate(stream, batch, positions, heads, head_size, pitch, 1, cosine, sine, x);
}
template <class T>
void RopeBackward(Stream stream, Index batch, Index positions, Index heads, Index head_size, Index pitch,
                  const float* cosine, const float* sine, T* dx) {
  Rotate(stream, batch, positions, heads, head_size, pitch, -1, cosine, sine, dx);
}

#define ISO_ELEMENTWISE(T)                                                                                          \
  template void Add<T>(Stream, Index, const T*, const T*, T*);                                                      \
  template void Axpy<T>(Stream, Index, float, const T*, T*);                                                        \
  template void Scale<T>(Stream, Index, float, T*);                                                                 \
  template void Cast<T, float>(Stream, Index, const T*, float*);                                                    \
  template void Cast<T, Bf16>(Stream, Index, const T*, Bf16*);                                                      \
  template void Cast<T, Fp16>(Stream, Index, const T*, Fp16*);                                                      \
  template void AddBias<T>(Stream, Index, Index, const T*, const T*, T*);                                           \
  template void Activate<T>(Stream, Activation, Index, Index, const T*, const T*, T*);                              \
  template void ActivateBackward<T>(Stream, Activation, Index, Index, const T*, const T*, const T*, T*);            \
  template void GatedActivate<T>(Stream, Gate, Index, Index, Index, const T*, const T*, const T*, const T*, T*);    \
  template void GatedActivateBackward<T>(Stream, Gate, Index, Index, Index, const T*, const T*, const T*, const T*, \
                                         const T*, T*, T*);                                                         \
  template void Rope<T>(Stream, Index, Index, Index, Index, Index, const float*, const float*, T*);                 \
  template void RopeBackward<T>(Stream, Index, Index, Index, Index, Index, const float*, const float*, T*);
ISO_FOR_GPU(ISO_ELEMENTWISE)

}  // namespace isochrone::kernels::cuda
