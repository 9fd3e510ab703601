#pragma once

#include <span>
#include <vector>

namespace isochrone {

// Summaries of samples and of predictions against measurements. Ratios are plain: 0.1 is 10%.
// All require at least one value, equal lengths where two samples meet, and finite values.

double Mean(std::span<const double> values);
double Median(std::span<const double> values);

/// The value below which a share `q` of the sample lies, between neighbours by straight line.
///
///   h = (n-1) q,  x[floor h] + (h - floor h) (x[floor h + 1] - x[floor h]),  x sorted
///
/// q       0 to 1
/// Source  Hyndman & Fan, "Sample quantiles in statistical packages", The American Statistician 50(4), 1996: type 7.
double Quantile(std::span<const double> values, double q);

/// exp(mean(ln v)); every v > 0.
double GeometricMean(std::span<const double> values);

/// (predicted - measured) / measured, one by one; every measured > 0.
std::vector<double> RelativeErrors(std::span<const double> predicted, std::span<const double> measured);

/// Mean |predicted - measured| / measured: MAPE as a ratio.
double MeanAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured);
/// The median of the same: one bad row does not move it.
double MedianAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured);
/// The largest of the same.
double WorstAbsoluteRelativeError(std::span<const double> predicted, std::span<const double> measured);
/// Mean (predicted - measured) / measured: above zero means predicted too slow.
double Bias(std::span<const double> predicted, std::span<const double> measured);

/// Ranks from 1; equal values share the mean of their ranks.
std::vector<double> Ranks(std::span<const double> values);

/// Spearman's rank correlation: Pearson's correlation of the ranks, so that ties count right.
///
///   r = cov(rank x, rank y) / (sd(rank x) sd(rank y));  -1 to 1;  NaN when either sample is constant
///
/// Source  Spearman, "The proof and measurement of association between two things", Am. J. Psychology 15, 1904.
double SpearmanCorrelation(std::span<const double> x, std::span<const double> y);

/// A prediction interval.
struct Interval {
  double low = 0;
  double high = 0;
};

/// Share of the measured values inside their interval, ends included.
double Coverage(std::span<const Interval> intervals, std::span<const double> measured);

/// Mean interval score: narrow intervals are good, missing ones cost 2/alpha a unit of the miss. Lower is better.
///
///   s = (high - low) + 2/alpha (low - y)+ + 2/alpha (y - high)+
///
/// alpha   the share of values that may fall outside: 0.1 for a 90% interval; 0 < alpha < 1
/// Source  Winkler, "A decision-theoretic approach to interval estimation", JASA 67, 1972;
///         Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102, 2007, eq. 43.
double WinklerScore(std::span<const Interval> intervals, std::span<const double> measured, double alpha);

}  // namespace isochrone
