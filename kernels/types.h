#pragma once

#include <cstdint>

#include "kernels/bf16.h"

// What all kernels share.
//
// Storage types T: float, double, Bf16. Arithmetic, statistics and parameter gradients use Compute<T>, which is T
// itself, or float for Bf16. Each template is instantiated in its own .cc for the types that its header names, all
// three where it names none.
//
// Arrays are raw pointers, row-major, slowest dimension first. A kernel allocates nothing: what it needs beside its
// arguments is a `workspace` argument, whose length a function beside it gives. Gradients of parameters are added to
// (so that microbatches accumulate); gradients of activations are written, unless the header says "added to".
// Kernels run on the calling thread, GEMM excepted (see SetGemmThreads).

namespace isochrone::kernels {

using Index = std::int64_t;
using TokenId = std::int32_t;

template <class T>
struct ComputeOf {
  using Type = T;
};
template <>
struct ComputeOf<Bf16> {
  using Type = float;
};

/// The type that values stored as T are computed in.
template <class T>
using Compute = typename ComputeOf<T>::Type;

/// to = value, rounded. Scalar by scalar, where `to = T(value)` would copy a struct, which GCC 12 does not vectorise.
template <class T>
constexpr void Put(T& to, Compute<T> value) {
  to = value;
}
constexpr void Put(Bf16& to, float value) { to.bits = Bf16(value).bits; }

}  // namespace isochrone::kernels
