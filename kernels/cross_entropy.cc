#include "kernels/cross_entropy.h"

#include <cmath>
#include <limits>

#include "kernels/vectorised.h"

namespace isochrone::kernels {

template <class T>
ISO_VECTORISED void LogitMax(Index tokens, Index width, const T* logits, Compute<T>* max) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T* row = logits + t * width;
    C most = -std::numeric_limits<C>::infinity();
    ISO_SIMD_MAX(most)
    for (Index c = 0; c < width; ++c) most = Larger(most, C(row[c]));
    max[t] = most;
  }
}

template <class T>
ISO_VECTORISED void LogitSums(Index tokens, Index width, Index first, const T* logits, const TokenId* targets,
                              const Compute<T>* max, Compute<T>* sum, Compute<T>* target_logit) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T* row = logits + t * width;
    const C most = max[t];
    C total = 0;
    ISO_SIMD_SUM(total)
    for (Index c = 0; c < width; ++c) total += Exp(C(row[c]) - most);
    sum[t] = total;
    const Index target = targets[t] - first;
    target_logit[t] = target >= 0 && target < width ? C(row[target]) : C(0);
  }
}

template <class C>
void CrossEntropyLoss(Index tokens, const C* max, const C* sum, const C* target_logit, C* loss) {
  for (Index t = 0; t < tokens; ++t) loss[t] = std::log(sum[t]) + (max[t] - target_logit[t]);
}

template <class T>
ISO_VECTORISED void CrossEntropyGradient(Index tokens, Index width, Index first, const T* logits,
                                         const TokenId* targets, const Compute<T>* max, const Compute<T>* sum,
                                         const Compute<T>* weight, T* dlogits) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const T* row = logits + t * width;
    T* drow = dlogits + t * width;
    const C most = max[t], factor = weight[t] / sum[t];
    const Index target = targets[t] - first;
    const bool mine = target >= 0 && target < width;
    const C target_value = mine ? factor * Exp(C(row[target]) - most) - weight[t] : C(0);
    ISO_SIMD
    for (Index c = 0; c < width; ++c) Put(drow[c], factor * Exp(C(row[c]) - most));
    if (mine) Put(drow[target], target_value);
  }
}

#define ISO_CROSS_ENTROPY_LOSS(C) template void CrossEntropyLoss<C>(Index, const C*, const C*, const C*, C*);
ISO_FOR_REAL(ISO_CROSS_ENTROPY_LOSS)
#define ISO_CROSS_ENTROPY(T)                                                                                \
  template void LogitMax<T>(Index, Index, const T*, Compute<T>*);                                           \
  template void LogitSums<T>(Index, Index, Index, const T*, const TokenId*, const Compute<T>*, Compute<T>*, \
                             Compute<T>*);                                                                  \
  template void CrossEntropyGradient<T>(Index, Index, Index, const T*, const TokenId*, const Compute<T>*,   \
                                        const Compute<T>*, const Compute<T>*, T*);
ISO_FOR_STORAGE(ISO_CROSS_ENTROPY)

}  // namespace isochrone::kernels
