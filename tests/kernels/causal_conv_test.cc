#include "kernels/causal_conv.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

const std::vector<CausalConvShape> kShapes = {
    {1, 1, 1, 1, 1}, {1, 1, 3, 4, 3}, {2, 5, 3, 4, 7}, {1, 2, 7, 5, 8}, {2, 11, 5, 2, 5}};
const CausalConvShape kWide = {1, 3, 300, 4, 301};

template <class T>
struct Conv {
  CausalConvShape s;
  bool with_history;
  std::vector<T> x, weight, bias, history;

  Conv(CausalConvShape shape, bool h)
      : s(shape),
        with_history(h),
        x(As<T>(Random(s.batch * s.positions * s.pitch, 1))),
        weight(As<T>(Random(s.taps * s.channels, 2))),
        bias(As<T>(Random(s.channels, 3))),
        history(As<T>(Random(s.batch * (s.taps - 1) * s.channels, 4))) {}

  const T* History() const { return with_history ? history.data() : nullptr; }
  std::vector<double> Out() const {
    std::vector<T> out(s.batch * s.positions * s.channels);
    CausalConv<T>(s, x.data(), weight.data(), bias.data(), History(), out.data());
    return AsDouble(out);
  }
  std::vector<double> Formula() const {
    std::vector<double> out;
    const auto value = [](T v) { return double(Compute<T>(v)); };
    for (Index b = 0; b < s.batch; ++b)
      for (Index t = 0; t < s.positions; ++t)
        for (Index c = 0; c < s.channels; ++c) {
          double sum = value(bias[c]);
          for (Index j = 0; j < s.taps; ++j) {
            const Index at = t - (s.taps - 1) + j;
            const double w = value(weight[j * s.channels + c]);
            if (at >= 0) sum += w * value(x[(b * s.positions + at) * s.pitch + c]);
            if (at < 0 && with_history)
              sum += w * value(history[(b * (s.taps - 1) + s.taps - 1 + at) * s.channels + c]);
          }
          out.push_back(sum);
        }
    return out;
  }
};

template <class T>
void CheckForward(double tolerance) {
  auto shapes = kShapes;
  shapes.push_back(kWide);
  for (const auto& s : shapes)
    for (const bool history : {false, true}) {
      const Conv<T> conv(s, history);
      CHECK(Error(conv.Out(), conv.Formula()) < tolerance);
    }
}

}  // namespace

TEST_CASE("a causal convolution follows its formula, with and without history", "[causal_conv]") {
  CheckForward<double>(1e-14);
  CheckForward<float>(1e-6);
  CheckForward<Bf16>(0x1p-8);
}

TEST_CASE("the gradients of a causal convolution are its central differences", "[causal_conv]") {
  for (const auto& s : kShapes)
    for (const bool history : {false, true}) {
      Conv<double> conv(s, history);
      const auto dout = Random(s.batch * s.positions * s.channels, 5);
      std::vector<double> dx(conv.x.size()), dweight(conv.weight.size(), 1), dbias(conv.bias.size(), 2),
          dhistory(conv.history.size());
      CausalConvBackward<double>(s, conv.x.data(), conv.weight.data(), conv.History(), dout.data(), dx.data(),
                                 dweight.data(), dbias.data(), history ? dhistory.data() : nullptr);
      const auto loss = [&] { return Dot(conv.Out(), dout); };
      for (double& v : dweight) v -= 1;
      for (double& v : dbias) v -= 2;
      CHECK(Error(dx, Differences(conv.x, loss)) < kDifferenceTolerance);
      CHECK(Error(dweight, Differences(conv.weight, loss)) < kDifferenceTolerance);
      CHECK(Error(dbias, Differences(conv.bias, loss)) < kDifferenceTolerance);
      if (history) CHECK(Error(dhistory, Differences(conv.history, loss)) < kDifferenceTolerance);
    }
}

TEST_CASE("a sequence in two slices, the second with the first's end as history, is the whole", "[causal_conv]") {
  const CausalConvShape whole{1, 9, 3, 4, 3}, head{1, 5, 3, 4, 3}, tail{1, 4, 3, 4, 3};
  const Conv<double> conv(whole, false);
  std::vector<double> out(9 * 3);
  CausalConv<double>(head, conv.x.data(), conv.weight.data(), conv.bias.data(), nullptr, out.data());
  CausalConv<double>(tail, conv.x.data() + 15, conv.weight.data(), conv.bias.data(), conv.x.data() + 6,
                     out.data() + 15);
  CHECK(Error(out, conv.Out()) < 1e-15);
}
