#include "kernels/dropout.h"

#include "kernels/philox.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

std::vector<double> Dropped(const Shard& s, double rate, const std::vector<double>& x,
                            const std::vector<double>* bias = nullptr, const std::vector<double>* residual = nullptr) {
  std::vector<double> out(x.size());
  Dropout<double>(42, 7, s, rate, x.data(), bias ? bias->data() : nullptr, residual ? residual->data() : nullptr,
                  out.data());
  return out;
}

}  // namespace

TEST_CASE("an element is kept, scaled, where its random word reaches the rate", "[dropout]") {
  const Index rows = 5, columns = 700;
  const auto x = Random(rows * columns, 1);
  std::vector<std::uint32_t> words(rows * columns);
  RandomWords(42, 7, 0, rows * columns, words.data());
  const auto out = Dropped({rows, columns, 0, columns}, 0.25, x);
  int wrong = 0, kept = 0;
  for (Index i = 0; i < rows * columns; ++i) {
    const bool keep = words[i] >= 0x40000000u;
    kept += keep;
    wrong += out[i] != (keep ? x[i] * (1 / 0.75) : 0);
  }
  CHECK(wrong == 0);
  CHECK(kept / double(rows * columns) == Approx(0.75).margin(0.03));  // 4 standard deviations
}

TEST_CASE("a shard drops the elements that the whole does", "[dropout]") {
  const Index rows = 6, columns = 19;
  const auto x = Random(rows * columns, 1);
  const auto whole = Dropped({rows, columns, 0, columns}, 0.5, x);
  for (auto [row, column, height, width] :
       {std::tuple<Index, Index, Index, Index>{0, 0, 6, 10}, {2, 3, 3, 7}, {5, 18, 1, 1}, {1, 0, 4, 19}}) {
    std::vector<double> part, expected;
    for (Index r = row; r < row + height; ++r)
      for (Index c = column; c < column + width; ++c) {
        part.push_back(x[r * columns + c]);
        expected.push_back(whole[r * columns + c]);
      }
    CHECK(Dropped({height, width, row * columns + column, columns}, 0.5, part) == expected);
  }
}

TEST_CASE("bias goes in before dropout and residual after; at rate 0 nothing is dropped", "[dropout]") {
  const Shard s{3, 11, 0, 11};
  const auto x = Random(33, 1), bias = Random(11, 2), residual = Random(33, 3);
  std::vector<double> biased(x), expected;
  for (Index i = 0; i < 33; ++i) biased[i] += bias[i % 11];
  for (double rate : {0.0, 0.5}) {
    expected = Dropped(s, rate, biased);
    CHECK(Error(Dropped(s, rate, x, &bias), expected) < 1e-15);
    for (Index i = 0; i < 33; ++i) expected[i] += residual[i];
    CHECK(Error(Dropped(s, rate, x, &bias, &residual), expected) < 1e-15);
  }
  CHECK(Dropped(s, 0, x) == x);
}

TEST_CASE("the gradient of dropout is its central difference", "[dropout]") {
  const Shard s{3, 11, 5, 20};
  auto x = Random(33, 1);
  const auto dout = Random(33, 2), residual = Random(33, 3);
  std::vector<double> dx(33);
  DropoutBackward<double>(42, 7, s, 0.3, dout.data(), dx.data());
  CHECK(Error(dx, Differences(x, [&] { return Dot(Dropped(s, 0.3, x, nullptr, &residual), dout); })) <
        kDifferenceTolerance);
}
