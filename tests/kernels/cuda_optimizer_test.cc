#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "kernels/adamw.h"
#include "kernels/vector.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEST_CASE("AdamW of many tensors on a GPU equals its twin of each", "[cuda]") {
  ForShapes([](Draw& draw) {
    const Index count = draw.Below(10) == 0 ? 60 : draw.Size(5);  // 60: more than one launch holds
    const Index most = count == 60 ? 40 : 6000;                   // 6000: more than one block
    std::vector<std::unique_ptr<Guarded<float>>> device;
    std::vector<std::vector<float>> twin;
    std::vector<cuda::TensorUpdate> tensors;
    AdamWOptions options;
    options.learning_rate = 0.05;
    const float scale = 0.5f;
    const Index step = draw.Size(100);
    for (Index i = 0; i < count; ++i) {
      const Index n = draw.Size(most);
      const bool aligned = draw.Coin(), decays = draw.Coin();
      const std::vector<float> gradient = draw.Values<float>(n);
      std::vector<float> w = draw.Values<float>(n), m = draw.Values<float>(n, 0.1f), v = draw.Values<float>(n, 0.1f);
      for (float& x : v) x = std::abs(x);
      const std::size_t at = device.size();
      for (const std::vector<float>* array : {&gradient, &std::as_const(w), &std::as_const(m), &std::as_const(v)})
        device.push_back(std::make_unique<Guarded<float>>(*array, aligned));
      tensors.push_back(
          {device[at]->Data(), device[at + 1]->Data(), device[at + 2]->Data(), device[at + 3]->Data(), n, decays});
      AdamWOptions mine = options;
      if (!decays) mine.weight_decay = 0;
      AdamW<float>(n, step, mine, scale, gradient.data(), w.data(), m.data(), v.data());
      for (const auto& array : {gradient, w, m, v}) twin.push_back(array);
    }
    cuda::AdamW(nullptr, step, options, &scale, tensors);
    for (std::size_t i = 0; i < twin.size(); ++i) CHECK_NEAR(float, *device[i], twin[i]);
  });
}

TEST_CASE("the gradient norm on a GPU equals its twin, each part with its weight", "[cuda]") {
  ForShapes([](Draw& draw) {
    std::vector<std::unique_ptr<Guarded<float>>> device;
    std::vector<cuda::TensorPart> parts;
    double want = 2, got = 2;  // added to
    for (Index i = draw.Below(10) == 0 ? 60 : draw.Size(4); i > 0; --i) {
      const std::vector<float> values = draw.Values<float>(draw.Size(i > 10 ? 40 : 9000));
      const double weight = 1.0 / static_cast<double>(draw.Size(4));
      device.push_back(std::make_unique<Guarded<float>>(values, draw.Coin()));
      parts.push_back({device.back()->Data(), device.back()->Size(), weight});
      want += weight * SquaredNorm<float>(device.back()->Size(), values.data());
    }
    std::vector<double> workspace(cuda::SquaredNormWorkspace(parts));
    cuda::SquaredNorm(nullptr, parts, &got, workspace.data());
    CHECK(got == Approx(want).epsilon(1e-12));
    float factor = 0;
    const double most = draw.Below(3) == 0 ? 0 : 0.1 * static_cast<double>(draw.Size(300));
    cuda::ClipFactor(nullptr, &got, most, &factor);
    CHECK(double(factor) == Approx(ClipFactor(std::sqrt(want), most)).epsilon(1e-6));
  });
}

TEST_CASE("gradients that overflowed update nothing", "[cuda]") {
  for (const double squared_norm : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    float factor = 0;
    for (const double most : {0.0, 1.0}) {
      cuda::ClipFactor(nullptr, &squared_norm, most, &factor);
      CHECK(std::isnan(factor));
    }
    for (const float scale : {factor, std::numeric_limits<float>::infinity()}) {
      std::vector<float> gradient(7, 1), w(7, 2), m(7, 3), v(7, 4);
      const cuda::TensorUpdate one{gradient.data(), w.data(), m.data(), v.data(), 7, true};
      cuda::AdamW(nullptr, 1, AdamWOptions{}, &scale, {&one, 1});
      CHECK(w == std::vector<float>(7, 2));
      CHECK(m == std::vector<float>(7, 3));
      CHECK(v == std::vector<float>(7, 4));
    }
  }
}

TEST_CASE("losses add up in double", "[cuda]") {
  ForShapes([](Draw& draw) {
    const std::vector<float> x = draw.Values<float>(draw.Size(1000));
    double want = 1, got = 1;
    for (const float v : x) want += 0.25 * double(v);
    Guarded<float> device(x, draw.Coin());
    cuda::AddSum(nullptr, device.Size(), device.Data(), 0.25, &got);
    CHECK(got == Approx(want).epsilon(1e-12).margin(1e-12));
  });
}
