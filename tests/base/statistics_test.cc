#include "base/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace isochrone;
using Values = std::vector<double>;

TEST_CASE("mean, median and quantiles do not need sorted values", "[statistics]") {
  const Values values = {7, 1, 4, 2};
  CHECK(Mean(values) == 3.5);
  CHECK(Median(values) == 3);
  CHECK(Median(Values{9, 1, 2}) == 2);
  CHECK(Quantile(values, 0) == 1);
  CHECK(Quantile(values, 1) == 7);
  CHECK(Quantile(values, 0.25) == 1.75);  // R: quantile(c(7,1,4,2), .25, type = 7)
  CHECK(Quantile(values, 0.9) == Approx(6.1));
  CHECK(Quantile(Values{5}, 0.3) == 5);
}

TEST_CASE("the geometric mean of a ratio and its inverse is one", "[statistics]") {
  CHECK(GeometricMean(Values{2, 8}) == Approx(4));
  CHECK(GeometricMean(Values{4, 0.25}) == Approx(1));
}

TEST_CASE("errors are relative to what was measured and bias keeps their sign", "[statistics]") {
  const Values predicted = {11, 8, 30}, measured = {10, 10, 20};
  CHECK(RelativeErrors(predicted, measured) == Values{0.1, -0.2, 0.5});
  CHECK(MeanAbsoluteRelativeError(predicted, measured) == Approx(0.8 / 3));
  CHECK(MedianAbsoluteRelativeError(predicted, measured) == Approx(0.2));
  CHECK(WorstAbsoluteRelativeError(predicted, measured) == 0.5);
  CHECK(Bias(predicted, measured) == Approx(0.4 / 3));
}

TEST_CASE("equal values share the mean of their ranks", "[statistics]") {
  CHECK(Ranks(Values{30, 10, 20, 10, 10}) == Values{5, 2, 4, 2, 2});
}

TEST_CASE("rank correlation sees order, not size", "[statistics]") {
  CHECK(SpearmanCorrelation(Values{1, 2, 3, 4}, Values{1, 10, 100, 1000}) == Approx(1));
  CHECK(SpearmanCorrelation(Values{1, 2, 3, 4}, Values{9, 7, 5, -3}) == Approx(-1));
  CHECK(SpearmanCorrelation(Values{1, 2, 3, 4, 5}, Values{2, 1, 4, 3, 5}) == Approx(1 - 6.0 * 4 / (5 * 24)));
  CHECK(SpearmanCorrelation(Values{1, 2, 2, 3}, Values{1, 3, 2, 4}) ==
        Approx(3 / std::sqrt(10.0)));  // ties: 4.5/sqrt(4.5*5)
  CHECK(std::isnan(SpearmanCorrelation(Values{1, 1}, Values{1, 2})));
}

TEST_CASE("an interval that misses pays for the miss, one that covers pays for its width", "[statistics]") {
  const std::vector<Interval> intervals = {{1, 3}, {1, 3}, {1, 3}};
  CHECK(WinklerScore(intervals, Values{1, 2, 3}, 0.1) == Approx(2));
  CHECK(WinklerScore(intervals, Values{0.5, 2, 4}, 0.1) == Approx(2 + (20 * 0.5 + 20 * 1) / 3));
  CHECK(Coverage(intervals, Values{1, 3, 3.5}) == Approx(2.0 / 3));
}
