#include "costmodel/calibrate/least_squares.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

namespace isochrone::costmodel {

namespace {

constexpr int kMostIterations = 80;
constexpr double kStep = 1e-3;  // of forward differences, relative to the span of the unknown's start

double Loss(const std::vector<double>& residuals, double scale) {
  double sum = 0;
  for (const double r : residuals) sum += 2 * scale * scale * (std::sqrt(1 + (r / scale) * (r / scale)) - 1);
  return sum;
}

}  // namespace

Solution LeastSquares(const Residuals& residuals, const std::vector<Unknown>& unknowns, double scale) {
  const auto n = static_cast<Eigen::Index>(unknowns.size());
  Solution solution;
  for (const Unknown& u : unknowns) solution.values.push_back(std::clamp(u.start, u.low, u.high));
  std::vector<double> now = residuals(solution.values);
  solution.loss = Loss(now, scale);
  const auto rows = static_cast<Eigen::Index>(now.size());
  double damping = 1e-2;
  for (int idle = 0; solution.iterations < kMostIterations && idle < 3; ++solution.iterations) {
    Eigen::MatrixXd jacobian(rows, n);
    Eigen::VectorXd step_size(n), residual(rows);
    for (Eigen::Index j = 0; j < n; ++j) {
      const Unknown& u = unknowns[static_cast<std::size_t>(j)];
      std::vector<double> moved = solution.values;
      double& value = moved[static_cast<std::size_t>(j)];
      double step = kStep * std::max(std::abs(value), 0.01 * (u.high - u.low));
      if (value + step > u.high) step = -step;
      value += step;
      const std::vector<double> there = residuals(moved);
      for (Eigen::Index i = 0; i < rows; ++i)
        jacobian(i, j) = (there[static_cast<std::size_t>(i)] - now[static_cast<std::size_t>(i)]) / step;
    }
    for (Eigen::Index i = 0; i < rows; ++i) {
      const double r = now[static_cast<std::size_t>(i)];
      const double weight = std::pow(1 + (r / scale) * (r / scale), -0.25);  // of the reweighted residual
      residual(i) = weight * r;
      jacobian.row(i) *= weight;
    }
    const Eigen::MatrixXd normal = jacobian.transpose() * jacobian;
    const Eigen::VectorXd gradient = jacobian.transpose() * residual;
    const double before = solution.loss;
    for (int attempt = 0; attempt < 10; ++attempt) {
      Eigen::MatrixXd damped = normal;
      damped.diagonal() += damping * normal.diagonal() + Eigen::VectorXd::Constant(n, 1e-12);
      const Eigen::VectorXd step = damped.ldlt().solve(-gradient);
      std::vector<double> moved = solution.values;
      for (Eigen::Index j = 0; j < n; ++j) {
        const auto at = static_cast<std::size_t>(j);
        moved[at] = std::clamp(moved[at] + step(j), unknowns[at].low, unknowns[at].high);
      }
      const std::vector<double> there = residuals(moved);
      if (const double loss = Loss(there, scale); loss < solution.loss) {
        solution.values = moved, solution.loss = loss, now = there;
        damping = std::max(damping / 5, 1e-9);
        break;
      }
      damping *= 4;
    }
    idle = before - solution.loss < 1e-6 * before ? idle + 1 : 0;
  }
  return solution;
}

}  // namespace isochrone::costmodel
