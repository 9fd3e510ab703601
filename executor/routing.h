#pragma once

#include <cstdint>
#include <vector>

#include "executor/positions.h"
#include "plan/layout.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// Which experts every token visits: a replay of the plan's load profile, so that a run moves and multiplies the rows
/// that were priced, and routes alike at any degree. The weights are the router's own.
///
/// balanced     token n of the batch chooses experts (n k + j) mod E, j < k
/// by shares    systematic sampling: expert e is chosen where an integer + frac(n φ) falls into its part of the line
///              of k p_e laid end to end, φ the golden ratio; k p_e <= 1, so no expert is chosen twice
/// capacity     of an expert for one sequence: ceil(factor S k / E); later tokens of the sequence lose their place
///
/// Source  plan/expert_load.h for p_e; Fedus et al., arXiv:2101.03961, section 2.2; capacity in groups of one sequence:
///         Lepikhin et al., arXiv:2006.16668, section 2.2.
class RoutingTable {
 public:
  explicit RoutingTable(const plan::Scenario& scenario);

  int TopK() const { return topk_; }
  int Experts() const { return experts_; }
  /// Choices of the token at `position` of sequence `sequence` of the batch. (k)
  const std::int32_t* Chosen(Index sequence, Index position) const;
  /// The same, −1 where the expert was full.
  const std::int32_t* Kept(Index sequence, Index position) const;

 private:
  void Choose(Index token, const std::vector<double>& ends, std::int32_t* chosen) const;

  int experts_ = 1, topk_ = 1;
  Index sequence_ = 0;
  std::vector<std::int32_t> chosen_, kept_;  // (B S, k) of the whole batch
};

/// What one rank does with its tokens of one microbatch in an expert layer. Members are the ranks of its expert group
/// (etp inner, ep outer): member (q, s) is expert-tensor rank q of expert rank s.
struct Routing {
  int topk = 1, local_experts = 1;
  std::vector<std::int32_t> chosen;  // (T', k)
  std::vector<Index> row_of;         // (T' k): row of an assignment among those sent, −1 for none
  std::vector<Index> sent;           // [expert rank] rows that leave for it
  std::vector<Index> arriving;       // [expert rank] rows that come from it
  std::vector<Index> gathered;       // [expert-tensor rank] rows that it received
  std::vector<Index> offsets;        // [local expert] first row once sorted, and the total (+1)
  /// Rows as they lie after the gather, in runs of one expert: where each run lies once sorted.
  struct Run {
    Index from = 0, to = 0, rows = 0;
  };
  std::vector<Run> runs;

  Index Sent() const { return Sum(sent); }
  Index Arriving() const { return Sum(arriving); }
  Index Held() const { return Sum(gathered); }
  static Index Sum(const std::vector<Index>& v);
};

/// The expert that is number `i` of expert rank `rank`: dealt out in turn where the load follows Zipf's law, in blocks
/// where shares were given (plan/expert_load.h).
int ExpertAt(const plan::Scenario& scenario, int rank, int i);

/// The routing of `rank` for one microbatch.
Routing RoutingOf(const plan::Scenario& scenario, const plan::Layout& layout, const RoutingTable& table, int rank,
                  int microbatches, int microbatch);

}  // namespace isochrone::executor
