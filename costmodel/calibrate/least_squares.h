#pragma once

#include <functional>
#include <string>
#include <vector>

namespace isochrone::costmodel {

/// One unknown: where the search starts and may go.
struct Unknown {
  std::string name;
  double start = 0, low = 0, high = 0;
};

struct Solution {
  std::vector<double> values;  // of the unknowns, in their order
  double loss = 0;             // at the end
  int iterations = 0;
};

/// Residuals at given values of the unknowns; always of the same length.
using Residuals = std::function<std::vector<double>(const std::vector<double>& values)>;

/// Values that make the residuals small, inside their bounds, with outliers held down.
///
///   minimise Σ 2 c² (sqrt(1 + (r/c)²) - 1)
///
/// c       `scale`: residuals well below it count by their square, well above it by their size ("soft L1")
/// Method  Levenberg–Marquardt on iteratively reweighted residuals, derivatives by forward differences, steps cut at
///         the bounds. Stops when three steps in a row gain less than 1e-6 of the loss.
/// Source  Marquardt, SIAM J. Appl. Math. 11(2), 1963; Triggs et al., "Bundle Adjustment", section 4.3, 1999.
Solution LeastSquares(const Residuals& residuals, const std::vector<Unknown>& unknowns, double scale);

}  // namespace isochrone::costmodel
