#include "costmodel/torch_passes.h"

#include "costmodel/framework.h"

namespace isochrone::costmodel {
namespace {

/// baddbmm takes the scale of scores as its alpha; its derivatives multiply by it in kernels of their own.
bool IsScaledApart(const plan::Gemm& gemm, const plan::Strategy& s) {
  const bool baddbmm = s.framework.starts_with("megatron") && s.framework != "megatron_lm_2019";
  return baddbmm && (gemm.role == plan::GemmRole::kGradQueries || gemm.role == plan::GemmRole::kGradKeys);
}

bool IsCopied(const plan::Gemm& gemm, const plan::Strategy& strategy) {
  switch (gemm.role) {
    case plan::GemmRole::kContext:
    case plan::GemmRole::kGradQueries:
    case plan::GemmRole::kGradKeys:
    case plan::GemmRole::kGradValues:
      return true;
    case plan::GemmRole::kLinear:
      return gemm.bias && RunsMegatronLayers(strategy);
    default:
      return false;
  }
}

}  // namespace

Bytes TorchPasses(const plan::OpKind& kind, const plan::Strategy& strategy) {
  const auto* gemm = std::get_if<plan::Gemm>(&kind);
  if (!gemm || strategy.framework == "other" || !IsCopied(*gemm, strategy)) return Bytes(0);
  const double passes = IsScaledApart(*gemm, strategy) ? 4 : 2;
  return passes * static_cast<double>(gemm->batch * gemm->m) * static_cast<double>(gemm->n) *
         plan::SizeOf(gemm->output);
}

}  // namespace isochrone::costmodel
