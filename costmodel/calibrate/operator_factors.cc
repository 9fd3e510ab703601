#include "costmodel/calibrate/operator_factors.h"

#include <array>
#include <cstdio>

#include "base/json.h"

namespace isochrone::costmodel {
namespace {

/// Whether `key` is of the form that the header shows.
bool Read(const std::string& key, plan::Gemm& gemm) {
  long long batch = 0, m = 0, k = 0, n = 0;
  std::array<char, 3> layout{};
  std::array<char, 6> accumulate{}, output{};
  const int read =
      std::sscanf(key.c_str(), "b=%lld, m=%lld, k=%lld, n=%lld, layout=%2[TN], accumulate=%5[TrueFals], out_dtype=%5s",
                  &batch, &m, &k, &n, layout.data(), accumulate.data(), output.data());
  if (read != 7 || batch < 1 || m < 1 || k < 1 || n < 1) return false;
  gemm.batch = batch, gemm.m = m, gemm.k = k, gemm.n = n;
  gemm.transpose_b = layout[0] == 'T', gemm.transpose_a = layout[1] == 'T';
  gemm.accumulate = std::string(accumulate.data()) == "True";
  gemm.output = std::string(output.data()) == "fp32" ? plan::Dtype::kFp32 : plan::Dtype::kBf16;
  return true;
}

/// The same of a product of experts. A dgrad's columns are its weights' rows.
bool Read(const std::string& key, plan::GroupedGemm& gemm) {
  long long experts = 0, m = 0, n = 0, k = 0;
  const int read = std::sscanf(key.c_str(), "ng=%lld, M=%lld, N=%lld, K=%lld, dtype=bf16", &experts, &m, &n, &k);
  const auto says = [&](const char* text) { return key.find(text) != std::string::npos; };
  const bool forward = says("stage=fwd,"), input = says("stage=bwd_grad_act,"), weight = says("stage=bwd_grad_w,");
  if (read != 4 || experts < 1 || m < 1 || n < 1 || k < 1 || forward + input + weight != 1) return false;
  gemm.experts = experts, gemm.rows = static_cast<double>(experts * m), gemm.rows_fullest = static_cast<double>(m);
  gemm.n = input ? k : n, gemm.k = input ? n : k;
  gemm.weight_gradient = weight;
  if (weight && says("main_grad_dtype=fp32,")) gemm.output = plan::Dtype::kFp32;
  return true;
}

/// Of the shares of `products`, whose keys are of the form `form`.
template <class Product>
std::vector<Sample> SamplesOf(const Json& products, const char* form) {
  const Json factors = products.At("accurate_efficient_factor");
  const double rate = products.At("tflops").Number(1e-3, 1e6) * 1e12;
  std::vector<Sample> samples;
  for (const std::string& key : factors.Keys()) {
    plan::Op op;
    if (Product product; Read(key, product)) op.kind = product;
    else factors.At(key).Fail("is no shape of a product", form);
    const FlopsPerSecond reached(rate * factors.At(key).Number(1e-6, 2));
    samples.push_back({{op.kind}, plan::MatrixFlopsOf(op, true) / reached});
  }
  return samples;
}

}  // namespace

SampleTable ReadOperatorFactors(const std::string& path) {
  const Json ops = Json::File(path).At("accelerator").At("op");
  const Json products = ops.At("matmul");
  SampleTable table;
  table.file = path;
  table.description =
      "shares of " + std::to_string(static_cast<int>(products.At("tflops").Number(1e-3, 1e6))) + " TFLOP/s";
  table.samples = SamplesOf<plan::Gemm>(products, "b=1, m=…, k=…, n=…, layout=TN, …");
  if (const auto grouped = ops.Find("group_matmul"))
    table.grouped = SamplesOf<plan::GroupedGemm>(*grouped, "ng=…, M=…, N=…, K=…, dtype=bf16, …, stage=fwd, …");
  return table;
}

}  // namespace isochrone::costmodel
