#pragma once

#include "kernels/cuda/device.cuh"

// Contracts: kernels/vector.h, kernels/bias.h, kernels/activation.h, kernels/rope.h. Each passes once over memory.

namespace isochrone::kernels::cuda {

__device__ __forceinline__ float Sigmoid(float x) { return 1 / (1 + expf(-x)); }

// Each curve: the value, and the derivative.

struct GeluCurve {
  static constexpr float kRoot = 0.79788456080286535588f, kCube = 0.044715f;  // sqrt(2 / pi)
  __device__ __forceinline__ static float Weight(float x) { return Sigmoid(2 * kRoot * (x + kCube * x * x * x)); }
  __device__ __forceinline__ static float Value(float x) { return x * Weight(x); }
  __device__ __forceinline__ static float Slope(float x) {
    const float s = Weight(x);
    return s + x * s * (1 - s) * 2 * kRoot * (1 + 3 * kCube * x * x);
  }
};
struct SquaredReluCurve {
  __device__ __forceinline__ static float Value(float x) { return x < 0 ? 0.0f : x * x; }
  __device__ __forceinline__ static float Slope(float x) { return x < 0 ? 0.0f : 2 * x; }
};
struct SiluCurve {
  __device__ __forceinline__ static float Value(float x) { return x * Sigmoid(x); }
  __device__ __forceinline__ static float Slope(float x) {
    const float s = Sigmoid(x);
    return s * (1 + x * (1 - s));
  }
};
struct SoftplusCurve {
  __device__ __forceinline__ static float Value(float x) { return (x > 0 ? x : 0.0f) + log1pf(expf(-fabsf(x))); }
  __device__ __forceinline__ static float Slope(float x) { return Sigmoid(x); }
};

/// out = a + b, or a + alpha b, or alpha a where b is null.
template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads) SumKernel(Index n, const T* a, float alpha, const T* b, T* out) {
  ForElements<N>(n, [&](Index i) {
    Pack<N> v = Read<N>(a + i);
    if (b != nullptr) {
      const Pack<N> w = Read<N>(b + i);
#pragma unroll
      for (int j = 0; j < N; ++j) v.at[j] += alpha * w.at[j];
    } else {
#pragma unroll
      for (int j = 0; j < N; ++j) v.at[j] *= alpha;
    }
    Write<N>(out + i, v);
  });
}

template <class From, class To, int N>
__global__ void __launch_bounds__(kMaxThreads) CastKernel(Index n, const From* from, To* to) {
  ForElements<N>(n, [&](Index i) { Write<N>(to + i, Read<N>(from + i)); });
}

/// A row of a block's, blockIdx.y-th part of it: body(row, column).
template <int N, class Body>
__device__ __forceinline__ void ForRowPart(Index width, Body body) {
  const Index step = Index{gridDim.y} * blockDim.x * N;
  for (Index c = (Index{blockIdx.y} * blockDim.x + threadIdx.x) * N; c < width; c += step) body(Index{blockIdx.x}, c);
}

template <int N, class T>
__device__ __forceinline__ Pack<N> ReadOr0(const T* from, Index at) {
  return from != nullptr ? Read<N>(from + at) : Same<N>(0);
}

template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads) AddBiasKernel(Index width, const T* x, const T* bias, T* out) {
  ForRowPart<N>(width, [&](Index t, Index c) {
    Pack<N> v = Read<N>(x + t * width + c);
    const Pack<N> b = Read<N>(bias + c);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] += b.at[i];
    Write<N>(out + t * width + c, v);
  });
}

template <class Curve, class T, int N>
__global__ void __launch_bounds__(kMaxThreads) ActivateKernel(Index width, const T* x, const T* bias, T* out) {
  ForRowPart<N>(width, [&](Index t, Index c) {
    Pack<N> v = Read<N>(x + t * width + c);
    const Pack<N> b = ReadOr0<N>(bias, c);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] = Curve::Value(v.at[i] + b.at[i]);
    Write<N>(out + t * width + c, v);
  });
}

template <class Curve, class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    ActivateBackwardKernel(Index width, const T* x, const T* bias, const T* dout, T* dx) {
  ForRowPart<N>(width, [&](Index t, Index c) {
    Pack<N> v = Read<N>(x + t * width + c);
    const Pack<N> b = ReadOr0<N>(bias, c), d = Read<N>(dout + t * width + c);
#pragma unroll
    for (int i = 0; i < N; ++i) v.at[i] = d.at[i] * Curve::Slope(v.at[i] + b.at[i]);
    Write<N>(dx + t * width + c, v);
  });
}

template <class Curve, class T, int N>
__global__ void __launch_bounds__(kMaxThreads) GatedActivateKernel(Index width, Index pitch, const T* gate, const T* up,
                                                                   const T* gate_bias, const T* up_bias, T* out) {
  ForRowPart<N>(width, [&](Index t, Index c) {
    const Pack<N> g = Read<N>(gate + t * pitch + c), u = Read<N>(up + t * pitch + c);
    const Pack<N> gb = ReadOr0<N>(gate_bias, c), ub = ReadOr0<N>(up_bias, c);
    Pack<N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result.at[i] = Curve::Value(g.at[i] + gb.at[i]) * (u.at[i] + ub.at[i]);
    Write<N>(out + t * width + c, result);
  });
}

template <class Curve, class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    GatedActivateBackwardKernel(Index width, Index pitch, const T* gate, const T* up, const T* gate_bias,
                                const T* up_bias, const T* dout, T* dgate, T* dup) {
  ForRowPart<N>(width, [&](Index t, Index c) {
    Pack<N> g = Read<N>(gate + t * pitch + c), u = Read<N>(up + t * pitch + c);
    const Pack<N> gb = ReadOr0<N>(gate_bias, c), ub = ReadOr0<N>(up_bias, c), d = Read<N>(dout + t * width + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float gated = g.at[i] + gb.at[i], through = u.at[i] + ub.at[i];
      g.at[i] = d.at[i] * through * Curve::Slope(gated);
      u.at[i] = d.at[i] * Curve::Value(gated);
    }
    Write<N>(dgate + t * pitch + c, g);
    Write<N>(dup + t * pitch + c, u);
  });
}

/// Rotates by the angles, or back by them (direction -1). One block a token; a thread takes pairs (i, i + half).
template <class T, int N>
__global__ void __launch_bounds__(kMaxThreads)
    RopeKernel(Index positions, Index heads, Index half, Index pitch, float direction, const float* cosine,
               const float* sine, T* x) {
  const Index token = blockIdx.x, angle = token % positions * half;
  ForColumns<N>(heads * half, [&](Index pair) {
    const Index i = pair % half;
    T *low = x + token * pitch + pair / half * 2 * half + i, *high = low + half;
    Pack<N> u = Read<N>(low), v = Read<N>(high);
    const Pack<N> c = Read<N>(cosine + angle + i), s = Read<N>(sine + angle + i);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float turned = u.at[j] * c.at[j] - v.at[j] * direction * s.at[j];
      v.at[j] = v.at[j] * c.at[j] + u.at[j] * direction * s.at[j];
      u.at[j] = turned;
    }
    Write<N>(low, u);
    Write<N>(high, v);
  });
}

}  // namespace isochrone::kernels::cuda
