#include "kernels/cuda/router.cuh"

#include "kernels/cuda/launch.h"

namespace isochrone::kernels::cuda {

namespace {

unsigned BlocksForWarps(Index tokens) {
  constexpr Index kWarps = kRouterThreads / kWarp;
  return static_cast<unsigned>((tokens + kWarps - 1) / kWarps);
}

}  // namespace

template <class T>
void RouteChosen(Stream stream, Index tokens, Index experts, Index k, bool renormalise, const T* logits,
                 const ExpertId* chosen, float* probabilities, float* weight) {
  ISO_LAUNCH(RouteChosenKernel<T>, BlocksForWarps(tokens), kRouterThreads, 0, stream, tokens, experts, k, renormalise,
             logits, chosen, probabilities, weight);
}

template <class T>
void RouteTopKBackward(Stream stream, Index tokens, Index experts, Index k, bool renormalise,
                       const float* probabilities, const ExpertId* chosen, const float* weight, const float* dweight,
                       T* dlogits) {
  ISO_LAUNCH(RouteTopKBackwardKernel<T>, BlocksForWarps(tokens), kRouterThreads, 0, stream, tokens, experts, k,
             renormalise, probabilities, chosen, weight, dweight, dlogits);
}

#define ISO_ROUTER(T)                                                                                                \
  template void RouteChosen<T>(Stream, Index, Index, Index, bool, const T*, const ExpertId*, float*, float*);        \
  template void RouteTopKBackward<T>(Stream, Index, Index, Index, bool, const float*, const ExpertId*, const float*, \
                                     const float*, T*);
ISO_FOR_GPU(ISO_ROUTER)

}  // namespace isochrone::kernels::cuda
