#include "costmodel/calibrate/regions.h"

#include <algorithm>

namespace isochrone::costmodel {

namespace {

std::string RegionOfProduct(const plan::Gemm& g) {
  if (g.batch > 1) return "product: batched";
  const std::int64_t rows = g.transpose_a ? g.k : g.m;
  if (rows % 8 != 0 && rows >= 128) return "product: rows no multiple of 8";
  if (std::min({g.m, g.n, g.k}) >= 1024) return kTrainingShapes;
  if (g.m >= 1024) return "product: m >= 1024, n or k < 1024";
  if (std::min(g.n, g.k) < 512) return "product: m < 1024, n or k < 512";
  return g.m >= 128 ? "product: 128 <= m < 1024" : "product: m < 128";
}

std::string RegionOfAttention(const plan::Attention& a) {
  const std::string head = a.qk_dim % 32 != 0 ? "attention: padded head"
                           : a.qk_dim <= 64   ? "attention: head up to 64"
                           : a.qk_dim <= 128  ? "attention: head up to 128"
                                              : "attention: head over 128";
  return head + (a.queries >= 4096   ? ", 4,096 tokens and more"
                 : a.queries >= 1024 ? ", 1,024 to 4,095 tokens"
                                     : ", short");
}

std::string RegionOfStream(const plan::OpKind& kind) {
  if (std::holds_alternative<plan::Softmax>(kind))
    return std::get<plan::Softmax>(kind).pass == plan::Pass::kForward ? "softmax forward" : "softmax backward";
  if (std::holds_alternative<plan::Normalization>(kind))
    return std::get<plan::Normalization>(kind).pass == plan::Pass::kForward ? "normalisation forward"
                                                                            : "normalisation backward";
  if (std::holds_alternative<plan::OptimizerUpdate>(kind)) return "optimizer";
  if (std::holds_alternative<plan::Permute>(kind)) return "scatter";
  return "elementwise";
}

}  // namespace

std::string RegionOf(const Sample& sample) {
  const plan::OpKind& first = sample.ops.front();
  if (const auto* gemm = std::get_if<plan::Gemm>(&first)) {
    std::string region = RegionOfProduct(*gemm);
    return sample.ops.size() > 1 ? region + ", both gradients" : region;
  }
  if (const auto* attention = std::get_if<plan::Attention>(&first)) return RegionOfAttention(*attention);
  return RegionOfStream(first);
}

bool IsCommonInTraining(const Sample& sample) {
  const plan::OpKind& first = sample.ops.front();
  if (const auto* gemm = std::get_if<plan::Gemm>(&first))
    return gemm->batch > 1 || RegionOfProduct(*gemm) == kTrainingShapes;
  if (const auto* attention = std::get_if<plan::Attention>(&first)) return attention->queries >= 1024;
  return true;
}

}  // namespace isochrone::costmodel
