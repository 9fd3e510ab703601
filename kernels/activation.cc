#include "kernels/activation.h"

#include <cmath>

#include "base/error.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

// Each curve: the value, and the derivative.

template <class C>
struct Gelu {
  static constexpr C kRoot = C(0.79788456080286535588), kCube = C(0.044715);  // sqrt(2 / pi)
  static ISO_INLINE C Weight(C x) { return Sigmoid(2 * kRoot * (x + kCube * x * x * x)); }
  static ISO_INLINE C Value(C x) { return x * Weight(x); }
  static ISO_INLINE C Slope(C x) {
    const C s = Weight(x);
    return s + x * s * (1 - s) * 2 * kRoot * (1 + 3 * kCube * x * x);
  }
};

template <class C>
struct SquaredRelu {
  // Written so that a NaN stays one.
  static ISO_INLINE C Value(C x) { return x < 0 ? C(0) : x * x; }
  static ISO_INLINE C Slope(C x) { return x < 0 ? C(0) : 2 * x; }
};

template <class C>
struct Silu {
  static ISO_INLINE C Value(C x) { return x * Sigmoid(x); }
  static ISO_INLINE C Slope(C x) {
    const C s = Sigmoid(x);
    return s * (1 + x * (1 - s));
  }
};

template <class C>
struct Softplus {
  static ISO_INLINE C Value(C x) { return (x > 0 ? x : C(0)) + std::log1p(std::exp(-std::abs(x))); }
  static ISO_INLINE C Slope(C x) { return Sigmoid(x); }
};

template <template <class> class Curve, class T>
ISO_VECTORISED void Apply(Index tokens, Index width, const T* x, const T* bias, T* out) {
  using C = Compute<T>;
  if (bias == nullptr) {
    ISO_SIMD
    for (Index i = 0; i < tokens * width; ++i) Put(out[i], Curve<C>::Value(C(x[i])));
    return;
  }
  for (Index t = 0; t < tokens; ++t, x += width, out += width) {
    ISO_SIMD
    for (Index c = 0; c < width; ++c) Put(out[c], Curve<C>::Value(C(x[c]) + C(bias[c])));
  }
}

template <template <class> class Curve, class T>
ISO_VECTORISED void ApplyBackward(Index tokens, Index width, const T* x, const T* bias, const T* dout, T* dx) {
  using C = Compute<T>;
  if (bias == nullptr) {
    ISO_SIMD
    for (Index i = 0; i < tokens * width; ++i) Put(dx[i], C(dout[i]) * Curve<C>::Slope(C(x[i])));
    return;
  }
  for (Index t = 0; t < tokens; ++t, x += width, dout += width, dx += width) {
    ISO_SIMD
    for (Index c = 0; c < width; ++c) Put(dx[c], C(dout[c]) * Curve<C>::Slope(C(x[c]) + C(bias[c])));
  }
}

template <template <class> class Curve, class T>
ISO_VECTORISED void ApplyGated(Index tokens, Index width, Index pitch, const T* gate, const T* up, const T* gate_bias,
                               const T* up_bias, T* out) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t, gate += pitch, up += pitch, out += width) {
    if (gate_bias == nullptr) {
      ISO_SIMD
      for (Index c = 0; c < width; ++c) Put(out[c], Curve<C>::Value(C(gate[c])) * C(up[c]));
    } else {
      ISO_SIMD
      for (Index c = 0; c < width; ++c)
        Put(out[c], Curve<C>::Value(C(gate[c]) + C(gate_bias[c])) * (C(up[c]) + C(up_bias[c])));
    }
  }
}

template <template <class> class Curve, class T>
ISO_VECTORISED void ApplyGatedBackward(Index tokens, Index width, Index pitch, const T* gate, const T* up,
                                       const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t, gate += pitch, up += pitch, dout += width, dgate += pitch, dup += pitch) {
    if (gate_bias == nullptr) {
      ISO_SIMD
      for (Index c = 0; c < width; ++c) {
        const C g = C(gate[c]), u = C(up[c]), d = C(dout[c]);
        Put(dgate[c], d * u * Curve<C>::Slope(g));
        Put(dup[c], d * Curve<C>::Value(g));
      }
    } else {
      ISO_SIMD
      for (Index c = 0; c < width; ++c) {
        const C g = C(gate[c]) + C(gate_bias[c]), u = C(up[c]) + C(up_bias[c]), d = C(dout[c]);
        Put(dgate[c], d * u * Curve<C>::Slope(g));
        Put(dup[c], d * Curve<C>::Value(g));
      }
    }
  }
}

}  // namespace

template <class T>
void Activate(Activation f, Index tokens, Index width, const T* x, const T* bias, T* out) {
  switch (f) {
    case Activation::kGelu:
      return Apply<Gelu>(tokens, width, x, bias, out);
    case Activation::kSquaredRelu:
      return Apply<SquaredRelu>(tokens, width, x, bias, out);
    case Activation::kSilu:
      return Apply<Silu>(tokens, width, x, bias, out);
    case Activation::kSoftplus:
      return Apply<Softplus>(tokens, width, x, bias, out);
  }
  ISO_CHECK(!"a known activation");
}

template <class T>
void ActivateBackward(Activation f, Index tokens, Index width, const T* x, const T* bias, const T* dout, T* dx) {
  switch (f) {
    case Activation::kGelu:
      return ApplyBackward<Gelu>(tokens, width, x, bias, dout, dx);
    case Activation::kSquaredRelu:
      return ApplyBackward<SquaredRelu>(tokens, width, x, bias, dout, dx);
    case Activation::kSilu:
      return ApplyBackward<Silu>(tokens, width, x, bias, dout, dx);
    case Activation::kSoftplus:
      return ApplyBackward<Softplus>(tokens, width, x, bias, dout, dx);
  }
  ISO_CHECK(!"a known activation");
}

template <class T>
void GatedActivate(Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up, const T* gate_bias,
                   const T* up_bias, T* out) {
  if (f == Gate::kSwiGlu) ApplyGated<Silu>(tokens, width, pitch, gate, up, gate_bias, up_bias, out);
  else ApplyGated<Gelu>(tokens, width, pitch, gate, up, gate_bias, up_bias, out);
}

template <class T>
void GatedActivateBackward(Gate f, Index tokens, Index width, Index pitch, const T* gate, const T* up,
                           const T* gate_bias, const T* up_bias, const T* dout, T* dgate, T* dup) {
  if (f == Gate::kSwiGlu)
    ApplyGatedBackward<Silu>(tokens, width, pitch, gate, up, gate_bias, up_bias, dout, dgate, dup);
  else ApplyGatedBackward<Gelu>(tokens, width, pitch, gate, up, gate_bias, up_bias, dout, dgate, dup);
}

#define ISO_ACTIVATION(T)                                                                                             \
  template void Activate<T>(Activation, Index, Index, const T*, const T*, T*);                                        \
  template void ActivateBackward<T>(Activation, Index, Index, const T*, const T*, const T*, T*);                      \
  template void GatedActivate<T>(Gate, Index, Index, Index, const T*, const T*, const T*, const T*, T*);              \
  template void GatedActivateBackward<T>(Gate, Index, Index, Index, const T*, const T*, const T*, const T*, const T*, \
                                         T*, T*);
ISO_FOR_STORAGE(ISO_ACTIVATION)

}  // namespace isochrone::kernels
