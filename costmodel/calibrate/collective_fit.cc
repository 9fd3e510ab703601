#include "costmodel/calibrate/collective_fit.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "costmodel/collective.h"

namespace isochrone::costmodel {

namespace {

using Share = std::function<double(int)>;

/// Start, floor and ceiling of one constant, in SI.
struct Unknown {
  double start = 0, least = 0, most = 0;
};

/// Which constants are fitted and how they fill forms. One local bandwidth serves all forms of a kind.
struct Layout {
  std::vector<CollectiveForm> forms;  // names, shapes, least groups
  std::vector<Unknown> unknowns;
  bool local = false;
};

void AddForm(Layout& layout, const CollectiveForm& form, Unknown latency, Unknown hop, Unknown fill,
             Unknown bandwidth) {
  layout.forms.push_back(form);
  for (const Unknown& unknown : {latency, hop, fill, bandwidth}) layout.unknowns.push_back(unknown);
}

Layout LayoutFor(const CollectiveSample& like, double link, bool switch_reduce) {
  const bool direct = like.message || like.kind == plan::CollectiveKind::kAllToAll;
  const FormShape shape = direct ? FormShape::kDirect : FormShape::kRing;
  const std::string prefix = direct ? "direct_" : "ring_";
  const Unknown hop{1e-6, 1e-8, 2e-5}, none{1e-12, 1e-12, 1e-12};
  const auto form = [&](const char* name) { return CollectiveForm{prefix + name, shape, {}, {}, {}, {}, {}, 2}; };
  Layout layout;
  AddForm(layout, form("ll"), {6e-6, 1e-6, 1e-4}, hop, none, {0.04 * link, 0.001 * link, 0.3 * link});
  AddForm(layout, form("ll128"), {8e-6, 1e-6, 1e-4}, hop, none, {0.3 * link, 0.02 * link, 0.9 * link});
  AddForm(layout, form("simple"), {12e-6, 1e-6, 1e-3}, {1e-6, 1e-8, 1e-4}, {4e-6, 1e-9, 1e-4},
          {0.85 * link, 0.1 * link, link});
  if (switch_reduce && like.kind == plan::CollectiveKind::kAllReduce) {
    AddForm(layout, {"nvls", FormShape::kSwitchReduce, {}, {}, {}, {}, {}, 5}, {20e-6, 1e-6, 1e-3}, none,
            {1e-6, 1e-9, 1e-4}, {0.6 * link, 0.1 * link, link});
  }
  layout.local = !like.message;
  if (layout.local) layout.unknowns.push_back({2.5 * link, 0.5 * link, 20 * link});
  return layout;
}

std::vector<CollectiveForm> FormsAt(const Layout& layout, const Eigen::VectorXd& logs, double link) {
  std::vector<CollectiveForm> forms = layout.forms;
  const double local = layout.local ? std::exp(logs(logs.size() - 1)) : 20 * link;
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const auto at = [&](int k) { return std::exp(logs(static_cast<Eigen::Index>(4 * i) + k)); };
    const double tiny = 1e-11;  // a fitted zero
    forms[i].latency = Seconds(at(0));
    forms[i].hop = Seconds(at(1) < tiny ? 0 : at(1));
    forms[i].fill = Seconds(at(2) < tiny ? 0 : at(2));
    forms[i].bandwidth = BytesPerSecond(at(3));
    forms[i].local_bandwidth = BytesPerSecond(local);
  }
  return forms;
}

FormWork WorkOfSample(const CollectiveForm& form, const CollectiveSample& sample) {
  if (sample.message) return {0, sample.size.value, 0};
  return WorkOf(form.shape, sample.kind, sample.group, sample.size.value, 1);
}

/// ln of the soft minimum over forms: -ln(Σ exp(-k ln t)) / k.
double LogSoftMinimum(const std::vector<CollectiveForm>& forms, const CollectiveSample& sample, double share,
                      double k) {
  double logs[8], least = std::numeric_limits<double>::infinity();
  int count = 0;
  for (const CollectiveForm& form : forms) {
    if (sample.group < form.least_group) continue;
    logs[count] = std::log(FormTime(form, WorkOfSample(form, sample), share));
    least = std::min(least, logs[count++]);
  }
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += std::exp(-k * (logs[i] - least));
  return least - std::log(sum) / k;
}

constexpr double kScale = 0.1;    // residual from which the loss turns linear
constexpr double kPrior = 0.004;  // pull towards the start of what the samples do not tell: a factor e costs this

struct Problem {
  const std::vector<CollectiveSample>& samples;
  const Layout& layout;
  const Share& share;
  double link, sharpness;

  Eigen::VectorXd Residuals(const Eigen::VectorXd& logs) const {
    const std::vector<CollectiveForm> forms = FormsAt(layout, logs, link);
    Eigen::VectorXd r(static_cast<Eigen::Index>(samples.size()));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      r(static_cast<Eigen::Index>(i)) =
          LogSoftMinimum(forms, samples[i], share(samples[i].group), sharpness) - std::log(samples[i].time.value);
    }
    return r;
  }
  Eigen::VectorXd FromStart(const Eigen::VectorXd& logs) const {
    Eigen::VectorXd distance(logs.size());
    for (Eigen::Index i = 0; i < logs.size(); ++i) {
      distance(i) = logs(i) - std::log(layout.unknowns[static_cast<std::size_t>(i)].start);
    }
    return distance;
  }
  double Loss(const Eigen::VectorXd& r, const Eigen::VectorXd& logs) const {
    return 2 * kScale * kScale * ((1 + (r.array() / kScale).square()).sqrt() - 1).sum() +
           kPrior * FromStart(logs).squaredNorm();
  }
  Eigen::MatrixXd Jacobian(const Eigen::VectorXd& logs, const Eigen::VectorXd& at) const {
    constexpr double step = 1e-5;
    Eigen::MatrixXd jacobian(at.size(), logs.size());
    for (Eigen::Index i = 0; i < logs.size(); ++i) {
      Eigen::VectorXd moved = logs;
      moved(i) += step;
      jacobian.col(i) = (Residuals(moved) - at) / step;
    }
    return jacobian;
  }
};

Eigen::VectorXd Clamped(const Layout& layout, Eigen::VectorXd logs) {
  for (std::size_t i = 0; i < layout.unknowns.size(); ++i) {
    const Unknown& u = layout.unknowns[i];
    double& value = logs(static_cast<Eigen::Index>(i));
    value = std::clamp(value, std::log(u.least), std::log(u.most));
  }
  return logs;
}

/// Levenberg-Marquardt with iteratively reweighted residuals; steps are clamped into the bounds.
Eigen::VectorXd Minimise(const Problem& problem, Eigen::VectorXd logs) {
  double damping = 1e-2;
  Eigen::VectorXd r = problem.Residuals(logs);
  for (int iteration = 0; iteration < 200 && damping < 1e8; ++iteration) {
    const Eigen::MatrixXd jacobian = problem.Jacobian(logs, r);
    const Eigen::VectorXd weights = (1 + (r.array() / kScale).square()).sqrt().inverse();
    const Eigen::MatrixXd weighted = jacobian.transpose() * weights.asDiagonal();
    Eigen::MatrixXd normal = weighted * jacobian;
    normal.diagonal().array() += kPrior;
    normal.diagonal() *= 1 + damping;
    const Eigen::VectorXd slope = weighted * r + kPrior * problem.FromStart(logs);
    const Eigen::VectorXd moved = Clamped(problem.layout, logs - normal.ldlt().solve(slope));
    const Eigen::VectorXd moved_r = problem.Residuals(moved);
    const double gain = problem.Loss(r, logs) - problem.Loss(moved_r, moved);
    if (gain <= 0) {
      damping *= 4;
      continue;
    }
    logs = moved;
    r = moved_r;
    damping = std::max(damping / 3, 1e-9);
    if (gain < 1e-9) break;
  }
  return logs;
}

std::vector<CollectiveForm> Fitted(const std::vector<CollectiveSample>& samples, double link, bool switch_reduce,
                                   const Share& share) {
  const Layout layout = LayoutFor(samples.front(), link, switch_reduce);
  Eigen::VectorXd logs(static_cast<Eigen::Index>(layout.unknowns.size()));
  for (std::size_t i = 0; i < layout.unknowns.size(); ++i) {
    logs(static_cast<Eigen::Index>(i)) = std::log(layout.unknowns[i].start);
  }
  for (const double sharpness : {8.0, 30.0, 200.0}) {
    logs = Minimise({samples, layout, share, link, sharpness}, logs);
  }
  return FormsAt(layout, logs, link);
}

}  // namespace

FitResidual ResidualOf(const std::vector<CollectiveForm>& forms, const std::vector<CollectiveSample>& samples,
                       const Share& share, Bytes least, Bytes most) {
  std::vector<double> errors;
  for (const CollectiveSample& sample : samples) {
    if (sample.size < least || sample.size >= most) continue;
    double best = std::numeric_limits<double>::infinity();
    for (const CollectiveForm& form : forms) {
      if (sample.group < form.least_group) continue;
      best = std::min(best, FormTime(form, WorkOfSample(form, sample), share(sample.group)));
    }
    errors.push_back(std::abs(best / sample.time.value - 1));
  }
  if (errors.empty()) return {};
  std::sort(errors.begin(), errors.end());
  const auto at = [&](double q) {
    return errors[static_cast<std::size_t>(q * (static_cast<double>(errors.size()) - 1))];
  };
  return {static_cast<int>(errors.size()), at(0.5), at(0.9), errors.back()};
}

CollectiveFit FitCollective(const std::vector<CollectiveSample>& samples, BytesPerSecond link, bool switch_reduce,
                            const Share& share) {
  if (samples.size() < 8) throw Error("calibration", "has fewer than 8 samples of a collective", "a longer table");
  const Bytes border(kMebi), all(1e300);
  CollectiveFit fit;
  fit.forms = Fitted(samples, link.value, switch_reduce, share);
  fit.small = ResidualOf(fit.forms, samples, share, Bytes(0), border);
  fit.large = ResidualOf(fit.forms, samples, share, border, all);
  return fit;
}

std::vector<LeftOut> CrossValidate(const std::vector<CollectiveSample>& samples, BytesPerSecond link,
                                   bool switch_reduce, const Share& share) {
  std::set<int> groups;
  for (const CollectiveSample& sample : samples) groups.insert(sample.group);
  std::vector<LeftOut> result;
  if (groups.size() < 2) return result;
  for (const int group : groups) {
    std::vector<CollectiveSample> rest, left;
    for (const CollectiveSample& sample : samples) (sample.group == group ? left : rest).push_back(sample);
    const CollectiveFit fit = FitCollective(rest, link, switch_reduce, share);
    result.push_back({group, ResidualOf(fit.forms, left, share, Bytes(0), Bytes(kMebi)),
                      ResidualOf(fit.forms, left, share, Bytes(kMebi), Bytes(1e300))});
  }
  return result;
}

}  // namespace isochrone::costmodel
