#include "costmodel/calibrate/rate_ratio.h"

#include <variant>

#include "base/error.h"
#include "base/statistics.h"
#include "base/text.h"
#include "costmodel/gemm.h"

namespace isochrone::costmodel {

RateRatio RateRatioOf(const std::vector<SampleTable>& tables, const plan::Gpu& gpu, const EfficiencyProfile& profile,
                      double least_flops) {
  std::vector<double> ratios;
  for (const SampleTable& table : tables) {
    for (const Sample& sample : table.samples) {
      const auto* gemm = sample.ops.size() == 1 ? std::get_if<plan::Gemm>(&sample.ops.front()) : nullptr;
      if (gemm == nullptr) continue;
      const double flops = 2.0 * static_cast<double>(gemm->batch) * static_cast<double>(gemm->m) *
                           static_cast<double>(gemm->k) * static_cast<double>(gemm->n);
      if (flops < least_flops) continue;
      const GemmModel model(gpu, CurveOf(profile, gemm->dtype), gemm->dtype);
      ratios.push_back(model.Price(*gemm).total / sample.time);
    }
  }
  if (ratios.empty())
    throw Error("the tables", "have no product of " + HumanScaled(least_flops, "FLOP") + " or more",
                "name tables of matrix products");
  return {static_cast<int>(ratios.size()), Quantile(ratios, 0.25), Median(ratios), Quantile(ratios, 0.75)};
}

}  // namespace isochrone::costmodel
