#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "kernels/vectorised.h"

using isochrone::kernels::Exp;

TEST_CASE("exp in float is within 3 units in the last place", "[exp]") {
  double worst = 0;
  for (double x = -86.97; x < 88.72; x += 1.37e-4) {
    const float argument = static_cast<float>(x), value = Exp(argument);
    const double exact = std::exp(double(argument));
    const float rounded = static_cast<float>(exact);
    const double ulp = std::nextafter(rounded, INFINITY) - double(rounded);
    worst = std::max(worst, std::abs(value - exact) / ulp);
  }
  CHECK(worst < 3);
}

TEST_CASE("exp in double is within 3 units in the last place", "[exp]") {
  double worst = 0;
  for (double x = -707.9; x < 709.7; x += 1.37e-3) {
    const double exact = std::exp(x);
    worst = std::max(worst, std::abs(Exp(x) - exact) / (std::nextafter(exact, INFINITY) - exact));
  }
  CHECK(worst < 3);
}

TEMPLATE_TEST_CASE("exp keeps NaN, and goes to 0 and infinity where the result does", "[exp]", float, double) {
  using Limits = std::numeric_limits<TestType>;
  CHECK(Exp(TestType(0)) == 1);
  CHECK(Exp(-Limits::infinity()) == 0);
  CHECK(Exp(TestType(-1e4)) == 0);
  CHECK(Exp(Limits::infinity()) == Limits::infinity());
  CHECK(Exp(TestType(1e4)) == Limits::infinity());
  CHECK(Exp(std::log(Limits::max())) > Limits::max() / 2);
  CHECK(std::isnan(Exp(Limits::quiet_NaN())));
}
