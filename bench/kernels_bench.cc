// Speed of the CPU kernels on one thread: bytes/s for those that memory bounds, flops/s (items) for the others.
//
//   ./build/kernels_bench --benchmark_filter=Attention

#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "kernels/activation.h"
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/bias.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/gemm.h"
#include "kernels/initialise.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/softmax.h"
#include "kernels/ssd.h"
#include "kernels/vector.h"

namespace {

using namespace isochrone::kernels;
using benchmark::State;

constexpr Index kTokens = 1024, kHidden = 768;

std::vector<float> Normal(Index n) {
  std::vector<float> x(n);
  InitialiseNormal<float>(1, {1, n, 0, n}, 0, 1, x.data());
  return x;
}

void Bytes(State& state, Index per_iteration) { state.SetBytesProcessed(state.iterations() * per_iteration); }
void Flops(State& state, Index per_iteration) { state.SetItemsProcessed(state.iterations() * per_iteration); }

void GemmSquare(State& state) {
  SetGemmThreads(1);
  const Index n = state.range(0);
  const auto a = Normal(n * n), b = Normal(n * n);
  std::vector<float> c(n * n);
  for (auto _ : state)
    Gemm<float>(Transpose::kNo, Transpose::kYes, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
  Flops(state, 2 * n * n * n);
}
BENCHMARK(GemmSquare)->Arg(64)->Arg(256)->Arg(1024);

void LayerNormForward(State& state) {
  const auto x = Normal(kTokens * kHidden), w = Normal(kHidden);
  std::vector<float> out(x.size()), mean(kTokens), rstd(kTokens);
  for (auto _ : state)
    LayerNorm<float>(kTokens, kHidden, 1e-5f, x.data(), w.data(), w.data(), out.data(), mean.data(), rstd.data());
  Bytes(state, 8 * kTokens * kHidden);
}
BENCHMARK(LayerNormForward);

void LayerNormGradient(State& state) {
  const auto x = Normal(kTokens * kHidden), w = Normal(kHidden);
  std::vector<float> dx(x.size()), mean(kTokens), rstd(kTokens, 1), dw(kHidden), db(kHidden);
  for (auto _ : state)
    LayerNormBackward<float>(kTokens, kHidden, x.data(), w.data(), mean.data(), rstd.data(), x.data(), dx.data(),
                             dw.data(), db.data());
  Bytes(state, 12 * kTokens * kHidden);
}
BENCHMARK(LayerNormGradient);

void RmsNormForward(State& state) {
  const auto x = Normal(kTokens * kHidden), w = Normal(kHidden);
  std::vector<float> out(x.size()), rstd(kTokens);
  for (auto _ : state) RmsNorm<float>(kTokens, kHidden, 1e-5f, x.data(), w.data(), out.data(), rstd.data());
  Bytes(state, 8 * kTokens * kHidden);
}
BENCHMARK(RmsNormForward);

void Activated(State& state, Activation f) {
  const auto x = Normal(kTokens * 4 * kHidden), bias = Normal(4 * kHidden);
  std::vector<float> out(x.size());
  for (auto _ : state) Activate<float>(f, kTokens, 4 * kHidden, x.data(), bias.data(), out.data());
  Bytes(state, 8 * kTokens * 4 * kHidden);
}
BENCHMARK_CAPTURE(Activated, Gelu, Activation::kGelu);
BENCHMARK_CAPTURE(Activated, SquaredRelu, Activation::kSquaredRelu);

void GeluGradient(State& state) {
  const auto x = Normal(kTokens * 4 * kHidden), bias = Normal(4 * kHidden);
  std::vector<float> dx(x.size());
  for (auto _ : state)
    ActivateBackward<float>(Activation::kGelu, kTokens, 4 * kHidden, x.data(), bias.data(), x.data(), dx.data());
  Bytes(state, 12 * kTokens * 4 * kHidden);
}
BENCHMARK(GeluGradient);

void SwiGlu(State& state) {
  const auto x = Normal(kTokens * 4 * kHidden);
  std::vector<float> out(kTokens * 2 * kHidden);
  for (auto _ : state)
    GatedActivate<float>(Gate::kSwiGlu, kTokens, 2 * kHidden, 4 * kHidden, x.data(), x.data() + 2 * kHidden, nullptr,
                         nullptr, out.data());
  Bytes(state, 12 * kTokens * 2 * kHidden);
}
BENCHMARK(SwiGlu);

void CausalSoftmax(State& state) {
  const Index batch = 12, length = 512;
  const auto x = Normal(batch * length * length);
  std::vector<float> out(x.size());
  for (auto _ : state) MaskedSoftmax<float>(batch, length, length, 0.125f, {}, x.data(), out.data());
  Bytes(state, 8 * batch * length * length);
}
BENCHMARK(CausalSoftmax);

struct Heads {
  AttentionShape s;
  std::vector<float> q, k, v, out, lse, dq, dk, dv, workspace;

  explicit Heads(Index length) : s{1, length, length, 12, 12, 64, kHidden, kHidden} {
    for (auto* x : {&q, &k, &v}) *x = Normal(length * kHidden);
    for (auto* x : {&out, &dq, &dk, &dv}) x->resize(length * kHidden);
    lse.resize(length * s.heads);
    workspace.resize(AttentionWorkspace<float>(s));
  }
  void Forward() {
    Attention<float>(s, {}, 0.125f, q.data(), k.data(), v.data(), out.data(), lse.data(), workspace.data());
  }
  Index CausalFlops(Index products) const { return products * s.heads * s.queries * s.keys * s.head_size; }
};

void AttentionForward(State& state) {
  SetGemmThreads(1);
  Heads h(state.range(0));
  for (auto _ : state) h.Forward();
  Flops(state, h.CausalFlops(2));
}
BENCHMARK(AttentionForward)->Arg(128)->Arg(512)->Arg(2048);

void AttentionGradient(State& state) {
  SetGemmThreads(1);
  Heads h(state.range(0));
  h.Forward();
  for (auto _ : state)
    AttentionBackward<float>(h.s, {}, 0.125f, h.q.data(), h.k.data(), h.v.data(), h.out.data(), h.lse.data(),
                             h.q.data(), h.dq.data(), h.dk.data(), h.dv.data(), h.workspace.data());
  Flops(state, h.CausalFlops(5));
}
BENCHMARK(AttentionGradient)->Arg(128)->Arg(512)->Arg(2048);

void RopeForward(State& state) {
  auto x = Normal(kTokens * kHidden);
  std::vector<float> cosine(kTokens * 32), sine(kTokens * 32);
  RopeTable<float>(0, kTokens, 64, 10000, cosine.data(), sine.data());
  for (auto _ : state) Rope<float>(1, kTokens, 12, 64, kHidden, cosine.data(), sine.data(), x.data());
  Bytes(state, 8 * kTokens * kHidden);
}
BENCHMARK(RopeForward);

void CrossEntropy(State& state) {
  const Index tokens = 256, width = 8192;
  const auto logits = Normal(tokens * width);
  const std::vector<TokenId> targets(tokens, 7);
  std::vector<float> max(tokens), sum(tokens), target(tokens), dlogits(logits.size());
  const std::vector<float> weight(tokens, 1);
  for (auto _ : state) {
    LogitMax<float>(tokens, width, logits.data(), max.data());
    LogitSums<float>(tokens, width, 0, logits.data(), targets.data(), max.data(), sum.data(), target.data());
    CrossEntropyGradient<float>(tokens, width, 0, logits.data(), targets.data(), max.data(), sum.data(), weight.data(),
                                dlogits.data());
  }
  Bytes(state, 16 * tokens * width);
}
BENCHMARK(CrossEntropy);

void AdamWStep(State& state) {
  const Index n = kHidden * 4 * kHidden;
  const auto gradient = Normal(n);
  std::vector<float> p(n), m(n), v(n);
  for (auto _ : state) AdamW<float>(n, 3, {}, 1, gradient.data(), p.data(), m.data(), v.data());
  Bytes(state, 28 * n);
}
BENCHMARK(AdamWStep);

void DropoutAdd(State& state) {
  const auto x = Normal(kTokens * kHidden), bias = Normal(kHidden);
  std::vector<float> out(x.size());
  for (auto _ : state)
    Dropout<float>(1, 2, {kTokens, kHidden, 0, kHidden}, 0.1, x.data(), bias.data(), x.data(), out.data());
  Bytes(state, 12 * kTokens * kHidden);
}
BENCHMARK(DropoutAdd);

void InitialiseWeights(State& state) {
  std::vector<float> x(kHidden * kHidden);
  for (auto _ : state) InitialiseNormal<float>(1, {kHidden, kHidden, 0, kHidden}, 0, 0.02, x.data());
  Bytes(state, 4 * kHidden * kHidden);
}
BENCHMARK(InitialiseWeights);

void BiasColumns(State& state) {
  const auto x = Normal(kTokens * kHidden);
  std::vector<float> sum(kHidden);
  for (auto _ : state) BiasGradient<float>(kTokens, kHidden, x.data(), sum.data());
  Bytes(state, 4 * kTokens * kHidden);
}
BENCHMARK(BiasColumns);

void Norm(State& state) {
  const auto x = Normal(kTokens * kHidden);
  for (auto _ : state) benchmark::DoNotOptimize(SquaredNorm<float>(kTokens * kHidden, x.data()));
  Bytes(state, 4 * kTokens * kHidden);
}
BENCHMARK(Norm);

void CastToBf16(State& state) {
  const auto x = Normal(kTokens * kHidden);
  std::vector<Bf16> out(x.size());
  for (auto _ : state) Cast(kTokens * kHidden, x.data(), out.data());
  Bytes(state, 6 * kTokens * kHidden);
}
BENCHMARK(CastToBf16);

void ScanForward(State& state) {
  SetGemmThreads(1);
  const SsdShape s{1, 1024, 24, 64, 1, 64, state.range(0), 24 * 64, 64};
  const auto x = Normal(1024 * 24 * 64), bc = Normal(1024 * 64);
  const std::vector<float> dt(1024 * 24, 0.1f), a(24, -1.0f), skip(24, 1.0f);
  std::vector<float> out(x.size()), states(24 * (s.Chunks() + 1) * 64 * 64), workspace(SsdWorkspace(s));
  for (auto _ : state)
    SsdScan<float>(s, x.data(), dt.data(), a.data(), bc.data(), bc.data(), skip.data(), nullptr, out.data(),
                   states.data(), workspace.data());
  Flops(state, 2 * 24 * 1024 * 64 * (2 * s.chunk + 2 * 64));
}
BENCHMARK(ScanForward)->Arg(64)->Arg(128)->Arg(256);

}  // namespace
