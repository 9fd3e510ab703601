#include "kernels/bias.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

constexpr float kEpsilon = 1e-5f;

/// Inputs of a norm and results of its twin.
template <class T>
struct Case {
  Index tokens, hidden;
  bool aligned;
  std::vector<float> x, weight, bias, dout, out, dx, mean, rstd, dweight, dbias;

  explicit Case(Draw& d)
      : tokens(d.Size(9)),
        hidden(d.Size(700)),
        aligned(d.Coin()),
        x(d.Values<T>(tokens * hidden)),
        weight(d.Values<T>(hidden)),
        bias(d.Values<T>(hidden)),
        dout(d.Values<T>(tokens * hidden)),
        out(x.size()),
        dx(x.size()),
        mean(tokens),
        rstd(tokens),
        dweight(hidden, 1.0f),
        dbias(hidden, 2.0f) {
    if (hidden == 2) x[0] = 4;  // channels that differ by rounding alone divide by it
  }
  Guarded<T> On(const std::vector<float>& v) const { return Guarded<T>(v, aligned); }
  Guarded<float> Floats(const std::vector<float>& v) const { return Guarded<float>(v, aligned); }
};

}  // namespace

TEMPLATE_TEST_CASE("layer norm on a GPU equals its twin", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    Case<T> c(draw);
    LayerNorm<float>(c.tokens, c.hidden, kEpsilon, c.x.data(), c.weight.data(), c.bias.data(), c.out.data(),
                     c.mean.data(), c.rstd.data());
    Guarded<T> x = c.On(c.x), weight = c.On(c.weight), bias = c.On(c.bias), out(c.x.size(), c.aligned);
    Guarded<float> mean(c.tokens, c.aligned), rstd(c.tokens, c.aligned);
    cuda::LayerNorm<T>(nullptr, c.tokens, c.hidden, kEpsilon, x.Data(), weight.Data(), bias.Data(), out.Data(),
                       mean.Data(), rstd.Data());
    CHECK_NEAR(T, out, c.out);
    CHECK_NEAR(float, mean, c.mean);
    CHECK_NEAR(float, rstd, c.rstd);

    LayerNormBackward<float>(c.tokens, c.hidden, c.x.data(), c.weight.data(), c.mean.data(), c.rstd.data(),
                             c.dout.data(), c.dx.data(), c.dweight.data(), c.dbias.data());
    Guarded<T> dout = c.On(c.dout);
    Guarded<float> dweight = c.Floats(std::vector<float>(c.hidden, 1.0f));
    Guarded<float> dbias = c.Floats(std::vector<float>(c.hidden, 2.0f)), twin_mean = c.Floats(c.mean);
    Guarded<float> twin_rstd = c.Floats(c.rstd);
    cuda::LayerNormBackward<T>(nullptr, c.tokens, c.hidden, x.Data(), weight.Data(), twin_mean.Data(), twin_rstd.Data(),
                               dout.Data(), dout.Data(), dweight.Data(), dbias.Data());
    CHECK_NEAR(T, dout, c.dx);
    CHECK_NEAR(float, dweight, c.dweight);
    CHECK_NEAR(float, dbias, c.dbias);
  });
}

TEMPLATE_TEST_CASE("RMS norm on a GPU equals its twin", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    Case<T> c(draw);
    RmsNorm<float>(c.tokens, c.hidden, kEpsilon, c.x.data(), c.weight.data(), c.out.data(), c.rstd.data());
    Guarded<T> x = c.On(c.x), weight = c.On(c.weight), out(c.x.size(), c.aligned);
    Guarded<float> rstd(c.tokens, c.aligned);
    cuda::RmsNorm<T>(nullptr, c.tokens, c.hidden, kEpsilon, x.Data(), weight.Data(), out.Data(), rstd.Data());
    CHECK_NEAR(T, out, c.out);
    CHECK_NEAR(float, rstd, c.rstd);

    RmsNormBackward<float>(c.tokens, c.hidden, c.x.data(), c.weight.data(), c.rstd.data(), c.dout.data(), c.dx.data(),
                           c.dweight.data());
    Guarded<T> dout = c.On(c.dout), dx(c.x.size(), c.aligned);
    Guarded<float> dweight = c.Floats(std::vector<float>(c.hidden, 1.0f)), twin_rstd = c.Floats(c.rstd);
    cuda::RmsNormBackward<T>(nullptr, c.tokens, c.hidden, x.Data(), weight.Data(), twin_rstd.Data(), dout.Data(),
                             dx.Data(), dweight.Data());
    CHECK_NEAR(T, dx, c.dx);
    CHECK_NEAR(float, dweight, c.dweight);
  });
}

TEMPLATE_TEST_CASE("the gradient of a bias on a GPU equals its twin", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(80), width = draw.Size(140);
    const bool aligned = draw.Coin();
    const std::vector<float> dout = draw.Values<T>(tokens * width);
    std::vector<float> dbias(width, 3.0f);
    Guarded<T> device_dout(dout, aligned);
    Guarded<float> device_dbias(dbias, aligned);
    BiasGradient<float>(tokens, width, dout.data(), dbias.data());
    cuda::BiasGradient<T>(nullptr, tokens, width, device_dout.Data(), device_dbias.Data());
    CHECK_NEAR(float, device_dbias, dbias);
  });
}
