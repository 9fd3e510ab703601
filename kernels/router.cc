#include "kernels/router.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "kernels/softmax.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

// The k largest scores by insertion, largest first. A NaN is never larger, so the ids are valid whatever comes.
template <class Score>
void Largest(Index experts, Index k, Score score, ExpertId* chosen) {
  Index held = 0;
  for (ExpertId e = 0; e < experts; ++e) {
    Index at = held;
    while (at > 0 && score(e) > score(chosen[at - 1])) --at;
    if (at == k) continue;
    held = std::min(held + 1, k);
    std::copy_backward(chosen + at, chosen + held - 1, chosen + held);
    chosen[at] = e;
  }
}

template <class T>
void Probabilities(Index tokens, Index experts, const T* logits, Compute<T>* probabilities) {
  using C = Compute<T>;
  std::transform(logits, logits + tokens * experts, probabilities, [](T v) { return C(v); });
  MaskedSoftmax<C>(1, tokens, experts, 1, {.causal = false}, probabilities, probabilities);
}

template <class C>
void Weigh(Index k, bool renormalise, const C* probabilities, const ExpertId* chosen, C* weight) {
  C sum = 0;
  for (Index j = 0; j < k; ++j) sum += weight[j] = probabilities[chosen[j]];
  for (Index j = 0; renormalise && j < k; ++j) weight[j] /= sum;
}

}  // namespace

template <class T>
void RouteTopK(Index tokens, Index experts, Index k, bool renormalise, const T* logits, const Compute<T>* bias,
               Compute<T>* probabilities, ExpertId* chosen, Compute<T>* weight) {
  using C = Compute<T>;
  ISO_CHECK(k > 0 && k <= experts);
  Probabilities<T>(tokens, experts, logits, probabilities);
  for (Index t = 0; t < tokens; ++t, probabilities += experts, chosen += k, weight += k) {
    Largest(
        experts, k, [&](ExpertId e) { return probabilities[e] + (bias ? bias[e] : C(0)); }, chosen);
    Weigh<C>(k, renormalise, probabilities, chosen, weight);
  }
}

template <class T>
void RouteChosen(Index tokens, Index experts, Index k, bool renormalise, const T* logits, const ExpertId* chosen,
                 Compute<T>* probabilities, Compute<T>* weight) {
  Probabilities<T>(tokens, experts, logits, probabilities);
  for (Index t = 0; t < tokens; ++t)
    Weigh<Compute<T>>(k, renormalise, probabilities + t * experts, chosen + t * k, weight + t * k);
}

template <class T>
void RouteTopKBackward(Index tokens, Index experts, Index k, bool renormalise, const Compute<T>* probabilities,
                       const ExpertId* chosen, const Compute<T>* weight, const Compute<T>* dweight, T* dlogits) {
  using C = Compute<T>;
  for (Index t = 0; t < tokens; ++t) {
    const C* p = probabilities + t * experts;
    const ExpertId* ids = chosen + t * k;
    C sum = 1, mean = 0;
    if (renormalise) {
      sum = 0;
      for (Index j = 0; j < k; ++j) {
        sum += p[ids[j]];
        mean += dweight[t * k + j] * weight[t * k + j];
      }
    }
    const auto dp = [&](Index j) { return (dweight[t * k + j] - mean) / sum; };
    C dot = 0;
    for (Index j = 0; j < k; ++j) dot += dp(j) * p[ids[j]];
    T* row = dlogits + t * experts;
    for (Index e = 0; e < experts; ++e) Put(row[e], -p[e] * dot);
    for (Index j = 0; j < k; ++j) Put(row[ids[j]], p[ids[j]] * (dp(j) - dot));
  }
}

void DropOverCapacity(Index assignments, Index capacity, const ExpertId* chosen, ExpertId* kept, Index* taken) {
  for (Index i = 0; i < assignments; ++i) kept[i] = taken[chosen[i]]++ < capacity ? chosen[i] : kDropped;
}

template <class C>
void UpdateRouterBias(Index experts, C rate, const Index* load, C* bias) {
  const Index total = std::accumulate(load, load + experts, Index{0});
  for (Index e = 0; e < experts; ++e) {
    const Index over = load[e] * experts - total;  // sign of load - mean, without rounding
    bias[e] += over < 0 ? rate : over > 0 ? -rate : C(0);
  }
}

#define ISO_ROUTER(T)                                                                                                  \
  template void RouteTopK<T>(Index, Index, Index, bool, const T*, const Compute<T>*, Compute<T>*, ExpertId*,           \
                             Compute<T>*);                                                                             \
  template void RouteChosen<T>(Index, Index, Index, bool, const T*, const ExpertId*, Compute<T>*, Compute<T>*);        \
  template void RouteTopKBackward<T>(Index, Index, Index, bool, const Compute<T>*, const ExpertId*, const Compute<T>*, \
                                     const Compute<T>*, T*);
ISO_FOR_STORAGE(ISO_ROUTER)
#define ISO_ROUTER_BIAS(C) template void UpdateRouterBias<C>(Index, C, const Index*, C*);
ISO_FOR_REAL(ISO_ROUTER_BIAS)

}  // namespace isochrone::kernels
