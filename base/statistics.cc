#include "base/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace isochrone {
namespace {

std::vector<double> Magnitudes(std::vector<double> values) {
  for (double& v : values) v = std::abs(v);
  return values;
}

}  // namespace

double Mean(std::span<const double> values) {
  ISO_CHECK(!values.empty());
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double Median(std::span<const double> values) { return Quantile(values, 0.5); }

double Quantile(std::span<const double> values, double q) {
  ISO_CHECK(!values.empty() && q >= 0 && q <= 1);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double h = static_cast<double>(sorted.size() - 1) * q;
  const auto below = static_cast<std::size_t>(h);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (h - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double GeometricMean(std::span<const double> values) {
  ISO_CHECK(!values.empty());
  double sum = 0;
  for (double v : values) {
    ISO_CHECK(v > 0);
    sum += std::log(v);
  }
  return std::exp(sum / static_cast<double>(values.size()));
}

std::vector<double> RelativeErrors(std::span<const double> predicted, std::span<const double> measured) {
  ISO_CHECK(predicted.size() == measured.size());
  std::vector<double> errors;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    ISO_CHECK(measured[i] > 0);
    errors.push_back((predicted[i] - measured[i]) / measured[i]);
  }
  return errors;
}

double MeanAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured) {
  return Mean(Magnitudes(RelativeErrors(predicted, measured)));
}

double MedianAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured) {
  return Median(Magnitudes(RelativeErrors(predicted, measured)));
}

double WorstAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured) {
  return Quantile(Magnitudes(RelativeErrors(predicted, measured)), 1);
}

double Bias(std::span<const double> predicted, std::span<const double> measured) {
  return Mean(RelativeErrors(predicted, measured));
}

std::vector<double> Ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double shared = static_cast<double>(first + 1 + end) / 2;  // mean of the ranks first+1 .. end
    for (std::size_t i = first; i < end; ++i) ranks[order[i]] = shared;
    first = end;
  }
  return ranks;
}

double SpearmanCorrelation(std::span<const double> x, std::span<const double> y) {
  ISO_CHECK(x.size() == y.size());
  const std::vector<double> rank_x = Ranks(x), rank_y = Ranks(y);
  const double mean_x = Mean(rank_x), mean_y = Mean(rank_y);
  double covariance = 0, variance_x = 0, variance_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = rank_x[i] - mean_x, dy = rank_y[i] - mean_y;
    covariance += dx * dy;
    variance_x += dx * dx;
    variance_y += dy * dy;
  }
  if (variance_x == 0 || variance_y == 0) return std::numeric_limits<double>::quiet_NaN();
  return covariance / std::sqrt(variance_x * variance_y);
}

double Coverage(std::span<const Interval> intervals, std::span<const double> measured) {
  ISO_CHECK(intervals.size() == measured.size() && !measured.empty());
  int inside = 0;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (intervals[i].low <= measured[i] && measured[i] <= intervals[i].high) ++inside;
  }
  return inside / static_cast<double>(measured.size());
}

double WinklerScore(std::span<const Interval> intervals, std::span<const double> measured, double alpha) {
  ISO_CHECK(intervals.size() == measured.size() && alpha > 0 && alpha < 1);
  std::vector<double> scores;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const auto [low, high] = intervals[i];
    const double miss = std::max(0.0, low - measured[i]) + std::max(0.0, measured[i] - high);
    scores.push_back(high - low + 2 / alpha * miss);
  }
  return Mean(scores);
}

}  // namespace isochrone
