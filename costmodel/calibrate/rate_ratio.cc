#include "costmodel/calibrate/rate_ratio.h"

#include <variant>

#include "base/error.h"
#include "base/statistics.h"
#include "base/text.h"

namespace isochrone::costmodel {
namespace {

RateRatio QuartilesOf(const std::vector<double>& ratios) {
  return {static_cast<int>(ratios.size()), Quantile(ratios, 0.25), Median(ratios), Quantile(ratios, 0.75)};
}

}  // namespace

RateRatio GroupedRatioOf(const std::vector<SampleTable>& tables, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                         GroupedForm form) {
  std::vector<double> ratios;
  for (const SampleTable& table : tables) {
    for (const Sample& sample : table.grouped) {
      const auto& gemm = std::get<plan::GroupedGemm>(sample.ops.front());
      ratios.push_back(GemmModel(gpu, CurveOf(profile, gemm.dtype), gemm.dtype).Price(gemm, form).total / sample.time);
    }
  }
  if (ratios.empty()) throw Error("the tables", "have no product of experts", "name tables of operators");
  return QuartilesOf(ratios);
}

RateRatio RateRatioOf(const std::vector<SampleTable>& tables, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                      Flops least) {
  std::vector<double> ratios;
  for (const SampleTable& table : tables) {
    for (const Sample& sample : table.samples) {
      const auto* gemm = sample.ops.size() == 1 ? std::get_if<plan::Gemm>(&sample.ops.front()) : nullptr;
      if (gemm == nullptr) continue;
      plan::Op op;
      op.kind = *gemm;
      if (plan::MatrixFlopsOf(op, true) < least) continue;
      const GemmModel model(gpu, CurveOf(profile, gemm->dtype), gemm->dtype);
      ratios.push_back(model.Price(*gemm).total / sample.time);
    }
  }
  if (ratios.empty())
    throw Error("the tables", "have no product of " + HumanScaled(least.value, "FLOP") + " or more",
                "name tables of matrix products");
  return QuartilesOf(ratios);
}

}  // namespace isochrone::costmodel
