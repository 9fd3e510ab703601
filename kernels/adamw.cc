#include "kernels/adamw.h"

#include <cmath>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class C>
ISO_VECTORISED void AdamW(Index n, Index step, const AdamWOptions& options, C gradient_scale, const C* gradient,
                          C* parameter, C* m, C* v) {
  const double t = static_cast<double>(step);
  const C keep = C(1 - options.learning_rate * options.weight_decay);
  const C rate = C(options.learning_rate / (1 - std::pow(options.beta1, t)));
  const C root = C(1 / std::sqrt(1 - std::pow(options.beta2, t)));
  const C beta1 = C(options.beta1), rest1 = C(1 - options.beta1);
  const C beta2 = C(options.beta2), rest2 = C(1 - options.beta2);
  const C epsilon = C(options.epsilon);
  ISO_SIMD
  for (Index i = 0; i < n; ++i) {
    const C g = gradient_scale * gradient[i];
    const C first = beta1 * m[i] + rest1 * g;
    const C second = beta2 * v[i] + rest2 * g * g;
    m[i] = first;
    v[i] = second;
    parameter[i] = keep * parameter[i] - rate * first / (std::sqrt(second) * root + epsilon);
  }
}

#define ISO_ADAMW(C) template void AdamW<C>(Index, Index, const AdamWOptions&, C, const C*, C*, C*, C*);
ISO_FOR_REAL(ISO_ADAMW)

}  // namespace isochrone::kernels
