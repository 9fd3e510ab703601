#include "study/framework_fit.h"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "costmodel/calibrate/least_squares.h"
#include "study/predict.h"

namespace isochrone::study {
namespace {

using costmodel::FrameworkConstant;
using costmodel::FrameworkProfile;

constexpr double kScale = 0.03;     // residuals above it count by their size
constexpr double kCoverage = 0.8;   // of the spread
constexpr std::size_t kLeast = 5;   // rows
constexpr double kZeroStart = 0.1;  // of a constant that is neutral at zero: of its unit

/// What the fit turns: a constant of the framework, or the sustained clock of one GPU.
struct Dial {
  costmodel::Unknown unknown;
  std::function<void(FrameworkProfile&, const plan::Gpu&, double)> set;
};

std::vector<FrameworkConstant> ConstantsOf(const std::vector<std::string>& names) {
  std::vector<FrameworkConstant> chosen;
  std::vector<std::string> known;
  for (const FrameworkConstant& constant : costmodel::FrameworkConstants()) known.push_back(constant.name);
  for (const std::string& name : names) {
    const auto it = std::find(known.begin(), known.end(), name);
    if (it == known.end()) {
      throw Error("--constant " + name, "is no constant of a framework profile", "try " + JoinedWith(known, "or"));
    }
    chosen.push_back(costmodel::FrameworkConstants()[static_cast<std::size_t>(it - known.begin())]);
  }
  return chosen;
}

FrameworkProfile ProfileOfRow(const Row& row) {
  const plan::Strategy& s = row.scenario->strategy;
  return costmodel::FrameworkOf(s.framework, row.scenario->cluster.node.gpu, s.compiled, s.optimizer_sharding);
}

std::vector<const Row*> Chosen(const std::vector<Row>& rows, const FrameworkFitRequest& request) {
  std::vector<const Row*> fitting, chosen;
  for (const Row& row : rows) {
    const auto& f = request.families;
    const bool family = f.empty() || std::find(f.begin(), f.end(), row.family) != f.end();
    if (!family || !row.scenario || !row.step_time || row.priority == 1) continue;
    if (ProfileOfRow(row).name == request.framework) fitting.push_back(&row);
  }
  for (std::size_t i = 0; i < fitting.size(); i += static_cast<std::size_t>(request.every)) {
    chosen.push_back(fitting[i]);
  }
  if (chosen.size() < kLeast) {
    throw Error("framework " + request.framework,
                "has " + std::to_string(chosen.size()) + " rows that may be fitted, too few",
                "give rows of it that are not priority 1, or name other families");
  }
  return chosen;
}

std::vector<Dial> DialsOf(const FrameworkFitRequest& request, const std::vector<const Row*>& rows) {
  std::vector<Dial> dials;
  const FrameworkProfile start = ProfileOfRow(*rows.front());
  for (const FrameworkConstant& c : ConstantsOf(request.constants)) {
    const double now = c.get(start);
    dials.push_back({{c.name, now > 0 ? now : kZeroStart, c.least, c.most},
                     [set = c.set](FrameworkProfile& p, const plan::Gpu&, double v) { set(p, v); }});
  }
  if (request.clock_of.empty()) return dials;
  const auto on = [&](const Row* row) { return row->scenario->cluster.node.gpu.name == request.clock_of; };
  const auto row = std::find_if(rows.begin(), rows.end(), on);
  if (row == rows.end())
    throw Error("--clock " + request.clock_of, "is the GPU of no row that is fitted", "name one that rows ran on");
  dials.push_back({{"clock", ProfileOfRow(**row).sustained_clock, 0.3, 1},
                   [name = request.clock_of](FrameworkProfile& p, const plan::Gpu& gpu, double v) {
                     if (gpu.name == name) p.sustained_clock = v;
                   }});
  return dials;
}

/// ln(predicted / measured) of every row with the dials at `values`; where they are at first if there are none.
class Predictions {
 public:
  Predictions(std::vector<const Row*> rows, std::vector<Dial> dials)
      : rows_(std::move(rows)), dials_(std::move(dials)) {}

  std::vector<double> operator()(const std::vector<double>& values) const {
    std::vector<double> residuals;
    for (const Row* row : rows_) {
      PredictOptions options;
      options.framework = ProfileOfRow(*row);
      for (std::size_t i = 0; i < values.size(); ++i)
        dials_[i].set(*options.framework, row->scenario->cluster.node.gpu, values[i]);
      const double predicted = Predict(*row->scenario, options).metrics.step_time.value;
      residuals.push_back(std::log(predicted / row->step_time->value));
    }
    return residuals;
  }

 private:
  std::vector<const Row*> rows_;
  std::vector<Dial> dials_;
};

/// Residuals of the rows, each with the constants that the others give.
std::vector<double> LeftOut(const Predictions& predict, const std::vector<double>& values,
                            const std::vector<double>& at) {
  const auto n = static_cast<Eigen::Index>(at.size()), k = static_cast<Eigen::Index>(values.size());
  if (k == 0) return at;
  Eigen::MatrixXd j(n, k);
  Eigen::VectorXd r(n), w(n);
  for (Eigen::Index c = 0; c < k; ++c) {
    std::vector<double> moved = values;
    const double step = std::max(1e-3, 1e-3 * std::abs(values[static_cast<std::size_t>(c)]));
    moved[static_cast<std::size_t>(c)] += step;
    const std::vector<double> there = predict(moved);
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(i);
      j(i, c) = (there[row] - at[row]) / step;
    }
  }
  for (Eigen::Index i = 0; i < n; ++i) {
    r(i) = at[static_cast<std::size_t>(i)];
    w(i) = 1 / std::sqrt(1 + std::pow(r(i) / kScale, 2));  // of soft L1
  }
  const Eigen::MatrixXd normal = j.transpose() * w.asDiagonal() * j;
  const Eigen::VectorXd slope = j.transpose() * w.asDiagonal() * r;
  std::vector<double> left;
  for (Eigen::Index i = 0; i < n; ++i) {
    const Eigen::MatrixXd others = normal - w(i) * j.row(i).transpose() * j.row(i);
    const Eigen::VectorXd step = -others.ldlt().solve(slope - w(i) * r(i) * j.row(i).transpose());
    left.push_back(r(i) + j.row(i).dot(step));
  }
  return left;
}

std::vector<double> Ratios(const std::vector<double>& logs) {
  std::vector<double> ratios;
  for (const double r : logs) ratios.push_back(std::exp(r));
  return ratios;
}

double MeanError(const std::vector<double>& ratios) {
  double sum = 0;
  for (const double ratio : ratios) sum += std::abs(ratio - 1);
  return sum / static_cast<double>(ratios.size());
}

double SpreadOf(const std::vector<double>& ratios) {
  std::vector<double> off;
  for (const double ratio : ratios) off.push_back(std::abs(1 / ratio - 1));
  std::sort(off.begin(), off.end());
  const auto n = static_cast<double>(off.size());
  const auto rank = static_cast<std::size_t>(std::min(n, std::ceil(kCoverage * (n + 1))));
  return off[rank - 1];
}

std::vector<double> Solve(const Predictions& predict, const std::vector<Dial>& dials) {
  if (dials.empty()) return {};
  std::vector<costmodel::Unknown> unknowns;
  for (const Dial& dial : dials) unknowns.push_back(dial.unknown);
  return costmodel::LeastSquares([&](const std::vector<double>& v) { return predict(v); }, unknowns, kScale).values;
}

void Describe(const FrameworkFitRequest& request, const std::vector<std::string>& all, FrameworkFit& fit) {
  FrameworkProfile& p = fit.profile;
  const std::string rows = std::to_string(fit.rows.size()) + " rows";
  if (!request.constants.empty() || !request.clock_of.empty()) {
    p.source = {"fit: " + rows + " by " + request.command + ": mean error " + Percent(fit.before) + " before, " +
                    Percent(fit.after) + " after, " + Percent(fit.left_out) + " left out",
                true};
    p.fitted_rows = all;
  }
  p.spread_source = "80 % of the " + rows + " of " + request.command + ", each left out of the fit";
}

}  // namespace

FrameworkFit FitFramework(const std::vector<Row>& rows, const FrameworkFitRequest& request) {
  const std::vector<FrameworkConstant> constants = ConstantsOf(request.constants);
  const std::vector<const Row*> chosen = Chosen(rows, request);
  const std::vector<Dial> dials = DialsOf(request, chosen);
  const Predictions predict(chosen, dials);
  FrameworkFit fit;
  fit.profile = ProfileOfRow(*chosen.front());
  const std::vector<double> before = Ratios(predict({}));
  const std::vector<double> values = Solve(predict, dials), at = predict(values);
  const std::vector<double> after = Ratios(at), left = Ratios(LeftOut(predict, values, at));
  for (std::size_t i = 0; i < constants.size(); ++i) constants[i].set(fit.profile, values[i]);
  if (!request.clock_of.empty()) fit.clock = values.back();
  fit.before = MeanError(before), fit.after = MeanError(after), fit.left_out = MeanError(left);
  const double before_fit = fit.profile.spread;
  fit.profile.spread = SpreadOf(left);
  for (double* other : {&fit.profile.expert_spread, &fit.profile.unfused_spread}) {
    if (*other == before_fit) *other = fit.profile.spread;
  }
  std::vector<std::string> ids;
  int held = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    fit.rows.push_back({chosen[i]->id, before[i], after[i], left[i]});
    ids.push_back(chosen[i]->id);
    held += std::abs(1 / left[i] - 1) <= fit.profile.spread ? 1 : 0;
  }
  fit.coverage = static_cast<double>(held) / static_cast<double>(chosen.size());
  Describe(request, ids, fit);
  return fit;
}

}  // namespace isochrone::study
