#include "kernels/activation.h"
#include "kernels/bias.h"
#include "kernels/dropout.h"
#include "kernels/rope.h"
#include "kernels/vector.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEMPLATE_TEST_CASE("sums, scaling and casts on a GPU equal their twins", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index n = draw.Size(3000);
    const bool aligned = draw.Coin();
    const std::vector<float> a = draw.Values<T>(n), b = draw.Values<T>(n);
    std::vector<float> sum(n), more = b, scaled = a;
    Add<float>(n, a.data(), b.data(), sum.data());
    Axpy<float>(n, 0.3f, a.data(), more.data());
    Scale<float>(n, 0.7f, scaled.data());
    Guarded<T> device_a(a, aligned), device_b(b, aligned), out(n, aligned);
    cuda::Add<T>(nullptr, n, device_a.Data(), device_b.Data(), out.Data());
    CHECK_NEAR(T, out, sum);
    cuda::Axpy<T>(nullptr, n, 0.3f, device_a.Data(), device_b.Data());
    CHECK_NEAR(T, device_b, more);
    cuda::Scale<T>(nullptr, n, 0.7f, device_a.Data());
    CHECK_NEAR(T, device_a, scaled);

    const std::vector<float> wide = draw.Values<float>(n, 100);
    Guarded<float> from(wide, aligned), back(n, aligned);
    cuda::Cast<float, T>(nullptr, n, from.Data(), out.Data());
    for (Index i = 0; i < n; ++i) REQUIRE(float(out[i]) == float(T(wide[i])));
    cuda::Cast<T, float>(nullptr, n, out.Data(), back.Data());
    CHECK(back.Floats() == out.Floats());
  });
}

TEST_CASE("casts between the two half types round once", "[cuda]") {
  ForShapes([](Draw& draw) {
    const Index n = draw.Size(500);
    const std::vector<float> values = draw.Values<Fp16>(n, 100);
    Guarded<Fp16> half(values, draw.Coin());
    Guarded<Bf16> brain(n, draw.Coin());
    cuda::Cast<Fp16, Bf16>(nullptr, n, half.Data(), brain.Data());
    for (Index i = 0; i < n; ++i) REQUIRE(brain[i].bits == Bf16(values[i]).bits);
  });
}

TEMPLATE_TEST_CASE("activations on a GPU equal their twins", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(5), width = draw.Size(700);
    const bool aligned = draw.Coin(), biased = draw.Coin();
    const auto f = static_cast<Activation>(draw.Below(4));
    const std::vector<float> x = draw.Values<T>(tokens * width, 4), bias = draw.Values<T>(width);
    const std::vector<float> dout = draw.Values<T>(tokens * width);
    std::vector<float> out(x.size()), dx(x.size());
    Activate<float>(f, tokens, width, x.data(), biased ? bias.data() : nullptr, out.data());
    ActivateBackward<float>(f, tokens, width, x.data(), biased ? bias.data() : nullptr, dout.data(), dx.data());
    Guarded<T> device_x(x, aligned), device_bias(bias, aligned), device_dout(dout, aligned), result(x.size(), aligned);
    const T* maybe_bias = biased ? device_bias.Data() : nullptr;
    cuda::Activate<T>(nullptr, f, tokens, width, device_x.Data(), maybe_bias, result.Data());
    CHECK_NEAR(T, result, out);
    cuda::ActivateBackward<T>(nullptr, f, tokens, width, device_x.Data(), maybe_bias, device_dout.Data(),
                              device_dout.Data());
    CHECK_NEAR(T, device_dout, dx);
    std::vector<float> shifted(x.size());
    AddBias<float>(tokens, width, x.data(), bias.data(), shifted.data());
    cuda::AddBias<T>(nullptr, tokens, width, device_x.Data(), device_bias.Data(), device_x.Data());
    CHECK_NEAR(T, device_x, shifted);
  });
}

TEMPLATE_TEST_CASE("gated activations on a GPU equal their twins, in place too", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(5), width = draw.Size(300), pitch = 2 * width;
    const bool aligned = draw.Coin(), biased = draw.Coin();
    const Gate f = draw.Coin() ? Gate::kSwiGlu : Gate::kGeGlu;
    const std::vector<float> x = draw.Values<T>(tokens * pitch, 4), bias = draw.Values<T>(pitch);
    const std::vector<float> dout = draw.Values<T>(tokens * width);
    std::vector<float> out(dout.size()), dx(x.size());
    const float *gate_bias = biased ? bias.data() : nullptr, *up_bias = biased ? bias.data() + width : nullptr;
    GatedActivate<float>(f, tokens, width, pitch, x.data(), x.data() + width, gate_bias, up_bias, out.data());
    GatedActivateBackward<float>(f, tokens, width, pitch, x.data(), x.data() + width, gate_bias, up_bias, dout.data(),
                                 dx.data(), dx.data() + width);
    Guarded<T> device(x, aligned), device_bias(bias, aligned), device_dout(dout, aligned), result(dout.size(), aligned);
    const T *db = biased ? device_bias.Data() : nullptr, *ub = biased ? device_bias.Data() + width : nullptr;
    cuda::GatedActivate<T>(nullptr, f, tokens, width, pitch, device.Data(), device.Data() + width, db, ub,
                           result.Data());
    CHECK_NEAR(T, result, out);
    cuda::GatedActivateBackward<T>(nullptr, f, tokens, width, pitch, device.Data(), device.Data() + width, db, ub,
                                   device_dout.Data(), device.Data(), device.Data() + width);
    CHECK_NEAR(T, device, dx);
  });
}

TEMPLATE_TEST_CASE("dropout on a GPU drops what its twin drops, in every shard", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index rows = draw.Size(5), columns = draw.Size(300), n = rows * columns;
    const bool aligned = draw.Coin(), biased = draw.Coin(), residual = draw.Coin();
    const Shard shard{rows, columns, draw.Below(1000), columns + draw.Below(2) * draw.Size(50)};
    const double rate = draw.Coin() ? 0.1 : 0.5;
    const auto seed = static_cast<std::uint64_t>(draw.Below(Index{1} << 40));
    const std::vector<float> x = draw.Values<T>(n), bias = draw.Values<T>(columns), add = draw.Values<T>(n);
    std::vector<float> out(n), dx(n);
    Dropout<float>(seed, 77, shard, rate, x.data(), biased ? bias.data() : nullptr, residual ? add.data() : nullptr,
                   out.data());
    DropoutBackward<float>(seed, 77, shard, rate, add.data(), dx.data());
    Guarded<T> device(x, aligned), device_bias(bias, aligned), device_add(add, aligned);
    cuda::Dropout<T>(nullptr, seed, 77, shard, rate, device.Data(), biased ? device_bias.Data() : nullptr,
                     residual ? device_add.Data() : nullptr, device.Data());
    CHECK_NEAR(T, device, out);
    cuda::DropoutBackward<T>(nullptr, seed, 77, shard, rate, device_add.Data(), device_add.Data());
    CHECK_NEAR(T, device_add, dx);
  });
}

TEMPLATE_TEST_CASE("rotary positions on a GPU equal their twin, forth and back", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index batch = draw.Size(2), positions = draw.Size(5), heads = draw.Size(4), size = 2 * draw.Size(64);
    const Index pitch = heads * size + draw.Below(2) * draw.Size(32);
    const bool aligned = draw.Coin();
    std::vector<float> cosine(positions * size / 2), sine(cosine.size());
    RopeTable<float>(draw.Below(100), positions, size, 10000, cosine.data(), sine.data());
    const std::vector<float> x = draw.Values<T>(batch * positions * pitch);
    std::vector<float> forth = x, back = x;
    Rope<float>(batch, positions, heads, size, pitch, cosine.data(), sine.data(), forth.data());
    RopeBackward<float>(batch, positions, heads, size, pitch, cosine.data(), sine.data(), back.data());
    Guarded<float> device_cosine(cosine, aligned), device_sine(sine, aligned);
    Guarded<T> device_forth(x, aligned), device_back(x, aligned);
    cuda::Rope<T>(nullptr, batch, positions, heads, size, pitch, device_cosine.Data(), device_sine.Data(),
                  device_forth.Data());
    cuda::RopeBackward<T>(nullptr, batch, positions, heads, size, pitch, device_cosine.Data(), device_sine.Data(),
                          device_back.Data());
    CHECK_NEAR(T, device_forth, forth);
    CHECK_NEAR(T, device_back, back);
  });
}
