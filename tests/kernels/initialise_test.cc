#include "kernels/initialise.h"

#include <set>

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEST_CASE("weights have the moments of a normal distribution", "[initialise]") {
  const Index n = 200000;
  std::vector<double> x(n);
  InitialiseNormal<double>(5, {1, n, 0, n}, 0.5, 2, x.data());
  double moment[5] = {};
  for (double v : x)
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow((v - 0.5) / 2, k) / double(n);
  // Standard errors of the first four moments: sqrt(1, 2, 15, 96) / sqrt(n); the margins are 4 of them.
  CHECK(moment[1] == Approx(0).margin(4 * std::sqrt(1.0 / n)));
  CHECK(moment[2] == Approx(1).margin(4 * std::sqrt(2.0 / n)));
  CHECK(moment[3] == Approx(0).margin(4 * std::sqrt(15.0 / n)));
  CHECK(moment[4] == Approx(3).margin(4 * std::sqrt(96.0 / n)));
  CHECK(std::set<double>(x.begin(), x.end()).size() > std::size_t(n) * 999 / 1000);
}

TEST_CASE("the weights of a shard are those of the whole, in any storage type", "[initialise]") {
  const Index rows = 7, columns = 1041;
  std::vector<double> whole(rows * columns);
  InitialiseNormal<double>(9, {rows, columns, 0, columns}, 0, 1, whole.data());
  for (auto [row, column, height, width] :
       {std::tuple<Index, Index, Index, Index>{0, 0, 7, 520}, {0, 521, 7, 520}, {3, 1, 2, 3}, {6, 1040, 1, 1}}) {
    const Shard shard{height, width, row * columns + column, columns};
    std::vector<double> part(height * width), expected;
    std::vector<float> part_float(height * width);
    InitialiseNormal<double>(9, shard, 0, 1, part.data());
    InitialiseNormal<float>(9, shard, 0, 1, part_float.data());
    for (Index r = row; r < row + height; ++r)
      expected.insert(expected.end(), whole.begin() + r * columns + column,
                      whole.begin() + r * columns + column + width);
    CHECK(part == expected);
    CHECK(part_float == As<float>(expected));
  }
}

TEST_CASE("another seed gives other weights", "[initialise]") {
  std::vector<double> a(8), b(8);
  InitialiseNormal<double>(1, {1, 8, 0, 8}, 0, 1, a.data());
  InitialiseNormal<double>(2, {1, 8, 0, 8}, 0, 1, b.data());
  for (int i = 0; i < 8; ++i) CHECK(a[i] != b[i]);
}
