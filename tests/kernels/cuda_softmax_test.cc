#include "kernels/cross_entropy.h"
#include "kernels/softmax.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEMPLATE_TEST_CASE("masked softmax on a GPU equals its twin", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index batch = draw.Size(3), queries = draw.Size(8), keys = draw.Size(400), n = batch * queries * keys;
    const AttentionMask mask{.causal = draw.Coin(),
                             .first_query = draw.Below(keys),
                             .first_key = draw.Below(3),
                             .window = draw.Coin() ? draw.Size(keys) : 0};
    const float scale = 3;
    const bool aligned = draw.Coin();
    const std::vector<float> x = draw.Values<T>(n), dout = draw.Values<T>(n);
    std::vector<float> out(n), dx(n);
    MaskedSoftmax<float>(batch, queries, keys, scale, mask, x.data(), out.data());
    Guarded<T> device(x, aligned);
    cuda::MaskedSoftmax<T>(nullptr, batch, queries, keys, scale, mask, device.Data(), device.Data());
    CHECK_NEAR(T, device, out);

    const std::vector<float> p = device.Floats();
    MaskedSoftmaxBackward<float>(batch, queries, keys, scale, p.data(), dout.data(), dx.data());
    Guarded<T> device_dout(dout, aligned);
    cuda::MaskedSoftmaxBackward<T>(nullptr, batch, queries, keys, scale, device.Data(), device_dout.Data(),
                                   device_dout.Data());
    CHECK_NEAR(T, device_dout, dx);
  });
}

TEMPLATE_TEST_CASE("cross-entropy over a shard of the vocabulary on a GPU equals its twin", "[cuda]", float, Bf16,
                   Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(9), width = draw.Size(600), first = draw.Below(50);
    const bool aligned = draw.Coin();
    const float weight = 0.25f;
    const std::vector<float> logits = draw.Values<T>(tokens * width, 6), weights(tokens, weight);
    std::vector<TokenId> targets;
    for (Index t = 0; t < tokens; ++t) targets.push_back(static_cast<TokenId>(draw.Below(2 * width + first)));
    std::vector<float> max(tokens), sum(tokens), target(tokens), dlogits(logits.size()), loss(tokens);
    LogitMax<float>(tokens, width, logits.data(), max.data());
    LogitSums<float>(tokens, width, first, logits.data(), targets.data(), max.data(), sum.data(), target.data());
    CrossEntropyLoss<float>(tokens, max.data(), sum.data(), target.data(), loss.data());
    CrossEntropyGradient<float>(tokens, width, first, logits.data(), targets.data(), max.data(), sum.data(),
                                weights.data(), dlogits.data());
    Guarded<T> device(logits, aligned);
    Guarded<float> device_max(tokens, aligned), device_sum(tokens, aligned), device_target(tokens, aligned);
    Guarded<float> device_loss(tokens, aligned);
    cuda::LogitMax<T>(nullptr, tokens, width, device.Data(), device_max.Data());
    CHECK(device_max.Floats() == max);
    cuda::LogitSums<T>(nullptr, tokens, width, first, device.Data(), targets.data(), device_max.Data(),
                       device_sum.Data(), device_target.Data());
    CHECK_NEAR(float, device_sum, sum);
    CHECK(device_target.Floats() == target);
    cuda::CrossEntropyLoss(nullptr, tokens, device_max.Data(), device_sum.Data(), device_target.Data(),
                           device_loss.Data());
    CHECK_NEAR(float, device_loss, loss);
    cuda::CrossEntropyGradient<T>(nullptr, tokens, width, first, device.Data(), targets.data(), device_max.Data(),
                                  device_sum.Data(), weight, device.Data());
    CHECK_NEAR(T, device, dlogits);
  });
}

TEST_CASE("statistics of the vocabulary's shards merge to those of the whole", "[cuda]") {
  ForShapes([](Draw& draw) {
    const Index shards = draw.Size(5), tokens = draw.Size(40), width = draw.Size(20), vocabulary = shards * width;
    const std::vector<float> logits = draw.Values<float>(tokens * vocabulary, 20);
    std::vector<TokenId> targets;
    for (Index t = 0; t < tokens; ++t) targets.push_back(static_cast<TokenId>(draw.Below(vocabulary)));
    std::vector<float> whole(3 * tokens), gathered(3 * tokens * shards);
    LogitMax<float>(tokens, vocabulary, logits.data(), whole.data());
    LogitSums<float>(tokens, vocabulary, 0, logits.data(), targets.data(), whole.data(), &whole[tokens],
                     &whole[2 * tokens]);
    for (Index r = 0; r < shards; ++r) {
      std::vector<float> part;
      for (Index t = 0; t < tokens; ++t)
        for (Index c = 0; c < width; ++c) part.push_back(logits[t * vocabulary + r * width + c]);
      float* to = &gathered[3 * r * tokens];
      LogitMax<float>(tokens, width, part.data(), to);
      LogitSums<float>(tokens, width, r * width, part.data(), targets.data(), to, to + tokens, to + 2 * tokens);
    }
    Guarded<float> from(gathered, true), to(3 * tokens, true);
    cuda::MergeLogitStatistics(nullptr, shards, tokens, from.Data(), to.Data());
    CHECK_NEAR(float, to, whole);
  });
}
