#include "kernels/grouped_gemm.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

const std::vector<Index> kOffsets = {0, 3, 3, 10, 11};  // one group is empty
constexpr Index kGroups = 4, kRows = 11, kN = 7, kK = 5;

std::vector<double> Product(const std::vector<double>& a, const std::vector<double>& b, Transpose form) {
  std::vector<double> c(kRows * kN, NAN);
  GroupedGemm<double>(form, kGroups, kOffsets.data(), kN, kK, a.data(), b.data(), c.data());
  return c;
}

}  // namespace

TEST_CASE("a grouped product multiplies each row with the matrix of its group", "[gemm]") {
  const auto a = Random(kRows * kK, 1), b = Random(kGroups * kK * kN, 2);
  for (Transpose form : {Transpose::kNo, Transpose::kYes}) {
    std::vector<double> expected(kRows * kN);
    for (Index g = 0; g < kGroups; ++g)
      for (Index r = kOffsets[g]; r < kOffsets[g + 1]; ++r)
        for (Index j = 0; j < kN; ++j)
          for (Index i = 0; i < kK; ++i)
            expected[r * kN + j] +=
                a[r * kK + i] * b[g * kK * kN + (form == Transpose::kYes ? j * kK + i : i * kN + j)];
    CHECK(Error(Product(a, b, form), expected) < 1e-14);
  }
}

TEST_CASE("the gradients of a grouped product are its central differences", "[gemm]") {
  auto a = Random(kRows * kK, 1), b = Random(kGroups * kK * kN, 2);
  const auto dout = Random(kRows * kN, 3);
  std::vector<double> da(a.size()), db(b.size(), 1);
  GroupedGemm<double>(Transpose::kYes, kGroups, kOffsets.data(), kK, kN, dout.data(), b.data(), da.data());
  GroupedGemmGradient<double>(kGroups, kOffsets.data(), kK, kN, a.data(), dout.data(), db.data());
  const auto loss = [&] { return Dot(Product(a, b, Transpose::kNo), dout); };
  for (double& v : db) v -= 1;
  CHECK(Error(da, Differences(a, loss)) < kDifferenceTolerance);
  CHECK(Error(db, Differences(b, loss)) < kDifferenceTolerance);
}
