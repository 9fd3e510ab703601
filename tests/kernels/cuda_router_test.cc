#include <numeric>

#include "kernels/router.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEMPLATE_TEST_CASE("weights of chosen experts on a GPU, and their gradient, equal their twins", "[cuda]", float, Bf16,
                   Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(20), experts = draw.Size(100), k = 1 + draw.Below(std::min<Index>(experts, 9));
    const bool renormalise = draw.Coin(), aligned = draw.Coin();
    const std::vector<float> logits = draw.Values<T>(tokens * experts, 4), dweight = draw.Values<float>(tokens * k);
    std::vector<ExpertId> chosen;
    for (Index t = 0; t < tokens; ++t) {  // different ones, in any order
      const Index first = draw.Below(experts);
      for (Index j = 0; j < k; ++j) chosen.push_back(static_cast<ExpertId>((first + experts - j) % experts));
    }
    std::vector<float> p(logits.size()), weight(chosen.size()), dlogits(logits.size());
    RouteChosen<float>(tokens, experts, k, renormalise, logits.data(), chosen.data(), p.data(), weight.data());
    RouteTopKBackward<float>(tokens, experts, k, renormalise, p.data(), chosen.data(), weight.data(), dweight.data(),
                             dlogits.data());
    Guarded<T> device(logits, aligned), device_dlogits(static_cast<Index>(logits.size()), aligned);
    Guarded<float> device_p(static_cast<Index>(p.size()), aligned),
        device_weight(static_cast<Index>(weight.size()), aligned), device_dweight(dweight, aligned);
    cuda::RouteChosen<T>(nullptr, tokens, experts, k, renormalise, device.Data(), chosen.data(), device_p.Data(),
                         device_weight.Data());
    CHECK_NEAR(float, device_p, p);
    CHECK_NEAR(float, device_weight, weight);
    cuda::RouteTopKBackward<T>(nullptr, tokens, experts, k, renormalise, device_p.Data(), chosen.data(),
                               device_weight.Data(), device_dweight.Data(), device_dlogits.Data());
    CHECK_NEAR(T, device_dlogits, dlogits);
  });
}
