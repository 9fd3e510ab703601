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

}  // namespace

SampleTable ReadOperatorFactors(const std::string& path) {
  const Json products = Json::File(path).At("accelerator").At("op").At("matmul");
  const Json factors = products.At("accurate_efficient_factor");
  const double rate = products.At("tflops").Number(1e-3, 1e6) * 1e12;
  SampleTable table;
  table.file = path, table.description = "shares of " + std::to_string(static_cast<int>(rate * 1e-12)) + " TFLOP/s";
  for (const std::string& key : factors.Keys()) {
    plan::Op op;
    if (plan::Gemm gemm; Read(key, gemm)) op.kind = gemm;
    else factors.At(key).Fail("is no shape of a product", "b=1, m=…, k=…, n=…, layout=TN, …");
    const FlopsPerSecond reached(rate * factors.At(key).Number(1e-6, 2));
    table.samples.push_back({{op.kind}, plan::MatrixFlopsOf(op, true) / reached});
  }
  return table;
}

}  // namespace isochrone::costmodel
