#pragma once

#include <algorithm>
#include <vector>

#include "kernels/types.h"
#include "plan/scenario.h"

namespace isochrone::executor {

using kernels::Index;

/// Consecutive positions of a sequence that lie side by side on one context rank.
struct PositionRun {
  Index local = 0, whole = 0, length = 0;
};

/// Which positions of a sequence of S tokens one context rank holds, in ascending order.
///
///   ring, all-gather, causal   pieces r and 2 cp - 1 - r of 2 cp, so that the work under a causal mask is equal
///   else                       block r of cp
///
/// Source  Brandon et al., "Striped Attention", arXiv:2311.09431; Llama 3, arXiv:2407.21783, section 3.3.2.
class Positions {
 public:
  Positions() = default;
  Positions(const plan::Model& model, const plan::Strategy& strategy, int context_rank);

  Index Whole() const { return whole_; }
  Index Local() const { return local_; }
  const std::vector<PositionRun>& Runs() const { return runs_; }

  /// Calls body(row, rows, sequence, whole position) for every run of positions in rows first … first + rows − 1 of a
  /// microbatch's tokens (sequence by sequence); `row` counts from `first`.
  template <class Body>
  void ForEachRun(Index first, Index rows, Body body) const {
    for (Index row = 0; row < rows;) {
      const Index sequence = (first + row) / local_, position = (first + row) % local_;
      const auto run =
          std::find_if(runs_.begin(), runs_.end(), [&](const PositionRun& r) { return position < r.local + r.length; });
      const Index into = position - run->local, length = std::min(rows - row, run->length - into);
      body(row, length, sequence, run->whole + into);
      row += length;
    }
  }

 private:
  Index whole_ = 0, local_ = 0;
  std::vector<PositionRun> runs_;
};

}  // namespace isochrone::executor
