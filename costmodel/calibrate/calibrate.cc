#include "costmodel/calibrate/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/statistics.h"
#include "base/table.h"
#include "base/text.h"
#include "costmodel/calibrate/curves.h"
#include "costmodel/calibrate/least_squares.h"
#include "costmodel/calibrate/regions.h"
#include "costmodel/costs.h"

namespace isochrone::costmodel {

namespace {

constexpr int kFewest = 20;                                // samples that a curve needs
constexpr double kOutlier = 0.1;                           // residuals well above 10 % count by size, not by square
constexpr double kCommonWeight = 1.5, kOtherWeight = 0.7;  // shapes that training runs, and the rest

using Samples = std::vector<const Sample*>;

Costs CostsOn(const plan::Gpu& gpu, const EfficiencyProfile& profile) {
  plan::Cluster cluster;
  cluster.node.gpu = gpu;
  return {cluster, plan::Layout{}, plan::Strategy{}, profile, FrameworkProfile{}};
}

double LogRatio(const Costs& costs, const Sample& sample) {
  Seconds predicted;
  for (const plan::OpKind& op : sample.ops) predicted += costs.TimeOf(op);
  return std::log(predicted / sample.time);
}

std::vector<double> LogRatios(const plan::Gpu& gpu, const EfficiencyProfile& profile, const Samples& samples) {
  const Costs costs = CostsOn(gpu, profile);
  std::vector<double> ratios;
  ratios.reserve(samples.size());
  for (const Sample* sample : samples) ratios.push_back(LogRatio(costs, *sample));
  return ratios;
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// Every n-th sample in order of measured time, training shapes and others in equal parts where there are enough.
Samples Thinned(const Samples& samples, int most) {
  Samples common, other;
  for (const Sample* sample : samples) (IsCommonInTraining(*sample) ? common : other).push_back(sample);
  const auto take = [](Samples from, std::size_t count) {
    std::stable_sort(from.begin(), from.end(), [](auto a, auto b) { return a->time < b->time; });
    Samples taken;
    count = std::min(count, from.size());
    for (std::size_t i = 0; i < count; ++i) taken.push_back(from[i * from.size() / count]);
    return taken;
  };
  const auto half = static_cast<std::size_t>(most) / 2;
  Samples taken = take(common, half);
  const Samples rest = take(other, static_cast<std::size_t>(most) - taken.size());
  taken.insert(taken.end(), rest.begin(), rest.end());
  return taken;
}

Solution Fit(const plan::Gpu& gpu, const Curve& curve, const EfficiencyProfile& start, const Samples& samples) {
  const auto residuals = [&](const std::vector<double>& values) {
    EfficiencyProfile profile = start;
    curve.set(profile, values);
    std::vector<double> ratios = LogRatios(gpu, profile, samples);
    for (std::size_t i = 0; i < ratios.size(); ++i)
      ratios[i] *= IsCommonInTraining(*samples[i]) ? kCommonWeight : kOtherWeight;
    return ratios;
  };
  return LeastSquares(residuals, curve.unknowns, kOutlier);
}

double CrossValidated(const plan::Gpu& gpu, const Curve& curve, const EfficiencyProfile& fitted, const Samples& samples,
                      int folds) {
  std::vector<double> errors;
  for (int fold = 0; fold < folds; ++fold) {
    Samples seen, held_out;
    for (std::size_t i = 0; i < samples.size(); ++i)
      (static_cast<int>(i) % folds == fold ? held_out : seen).push_back(samples[i]);
    EfficiencyProfile profile = fitted;
    curve.set(profile, Fit(gpu, curve, fitted, seen).values);
    for (const double r : LogRatios(gpu, profile, held_out)) errors.push_back(std::abs(r));
  }
  return errors.empty() ? 0 : Median(errors);
}

RegionResidual Summary(const std::string& region, const std::vector<double>& ratios) {
  std::vector<double> sizes;
  for (const double r : ratios) sizes.push_back(std::abs(r));
  return {region, static_cast<int>(ratios.size()), Median(sizes), Quantile(sizes, 0.9), Median(ratios)};
}

std::vector<RegionResidual> ByRegion(const plan::Gpu& gpu, const EfficiencyProfile& profile, const Samples& samples) {
  const std::vector<double> ratios = LogRatios(gpu, profile, samples);
  std::map<std::string, std::vector<double>> regions;
  for (std::size_t i = 0; i < samples.size(); ++i) regions[RegionOf(*samples[i])].push_back(ratios[i]);
  std::vector<RegionResidual> summaries = {Summary("all", ratios)};
  if (regions.size() > 1)
    for (const auto& [name, inside] : regions) summaries.push_back(Summary(name, inside));
  return summaries;
}

Source SourceOf(const CalibrationRequest& request, const FittedCurve& fitted, const std::vector<std::string>& devices) {
  std::string text = "fit on " + request.date + " to " + Grouped(fitted.fitted_to) + " of " +
                     Grouped(fitted.regions.front().samples) + " samples of " + JoinedWith(devices, "and") +
                     ": median residual " + Percent(fitted.regions.front().median_absolute);
  for (const RegionResidual& region : fitted.regions)
    if (region.region == kTrainingShapes) text += ", of training shapes " + Percent(region.median_absolute);
  if (fitted.cross_validated > 0) text += ", cross-validated " + Percent(fitted.cross_validated);
  return {text, true};
}

}  // namespace

CalibrationReport Calibrate(const CalibrationRequest& request) {
  CalibrationReport report;
  report.profile = request.start;
  report.profile.name = request.gpu.name;
  report.profile.command = request.command;
  std::map<std::string, Samples> by_curve;
  std::map<std::string, std::vector<std::string>> devices;
  for (const SampleTable& table : request.tables) {
    for (const Sample& sample : table.samples) {
      const std::string curve = CurveNameOf(sample);
      by_curve[curve].push_back(&sample);
      std::vector<std::string>& names = devices[curve];
      const std::string name = table.description.empty() ? BaseName(table.file) : table.description;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  for (const std::string& name : CurveNames()) {
    const auto found = by_curve.find(name);
    if (found == by_curve.end() || static_cast<int>(found->second.size()) < kFewest) continue;
    const Samples& samples = found->second;
    const Samples thinned = Thinned(samples, request.most_samples);
    Curve curve = CurveNamed(name, report.profile);
    const Solution solution = Fit(request.gpu, curve, report.profile, thinned);
    curve.set(report.profile, solution.values);
    FittedCurve fitted;
    fitted.name = name;
    fitted.fitted_to = static_cast<int>(thinned.size());
    for (std::size_t i = 0; i < curve.unknowns.size(); ++i) {
      fitted.constants.emplace_back(curve.unknowns[i].name, solution.values[i]);
      curve.unknowns[i].start = solution.values[i];
    }
    fitted.regions = ByRegion(request.gpu, report.profile, samples);
    fitted.cross_validated = CrossValidated(request.gpu, curve, report.profile, thinned, request.folds);
    curve.source(report.profile) = SourceOf(request, fitted, devices[name]);
    report.curves.push_back(std::move(fitted));
  }
  if (report.curves.empty())
    throw Error(request.gpu.name, "has no curve with at least " + std::to_string(kFewest) + " samples in these tables",
                "give tables of products, attention or streaming kernels");
  return report;
}

std::string Print(const CalibrationReport& report) {
  std::string text;
  for (const FittedCurve& curve : report.curves) {
    text += curve.name + ": fitted to " + Grouped(curve.fitted_to) + " samples";
    if (curve.cross_validated > 0) text += ", cross-validated median " + Percent(curve.cross_validated);
    text += "\n";
    for (const auto& [name, value] : curve.constants) text += "  " + name + " = " + ThreeDigits(value) + "\n";
    Table table({{"region", "region", "", Align::kLeft},
                 {"samples", "samples"},
                 {"median_absolute_pct", "median |residual|", "%"},
                 {"ninetieth_pct", "90th percentile", "%"},
                 {"bias_pct", "bias", "%"}});
    for (const RegionResidual& r : curve.regions)
      table.AddRow({r.region, std::int64_t{r.samples}, Number{100 * r.median_absolute, 1}, Number{100 * r.ninetieth, 1},
                    Number{100 * r.bias, 1}});
    text += table.Text() + "\n";
  }
  return text;
}

}  // namespace isochrone::costmodel
