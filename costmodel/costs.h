#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// Where a number comes from: "fit: gemm_perf.csv, 3.1 % median residual", "datasheet", "assumed".
struct Source {
  std::string text;
  bool measured = false;
};

/// One step of an explanation: a formula, the numbers put in, the result.
struct Term {
  std::string name;     // "tensor-core time"
  std::string formula;  // "2 m n k / rate"
  std::string inputs;   // "m = 2048, n = 9216, k = 12288, rate = 254.1 TFLOP/s"
  Seconds time;
  Source source;
};

/// Prices ops on one GPU of one cluster under one framework. Immutable after construction; safe to share among threads.
///
/// A compute op costs max(flops / rate, bytes / bandwidth) + launch with rate and bandwidth curves by shape (gemm.h,
/// attention.h, elementwise.h); a collective is priced by size, group shape and tier (collective.h). Transfers by host
/// or NVMe bandwidth.
class Costs {
 public:
  Costs(const plan::Cluster& cluster, const plan::Layout& layout, const plan::Strategy& strategy);

  Seconds TimeOf(const plan::Op& op) const;
  /// The same number, term by term.
  std::vector<Term> Explain(const plan::Op& op) const;

  /// One pipeline message of `bytes` between neighbouring stages.
  Seconds MessageTime(Bytes bytes, bool scatter_gather) const;
  /// Fixed host time per step: launch of the step, data loading, logging.
  Seconds HostTimePerStep() const;

 private:
  plan::Cluster cluster_;
  plan::Layout layout_;
  plan::Strategy strategy_;
};

}  // namespace isochrone::costmodel
