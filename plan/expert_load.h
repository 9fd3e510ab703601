#pragma once

#include <vector>

#include "plan/scenario.h"

namespace isochrone::plan {

/// Each expert's share of the assignments, by popularity, summing to one.
///
///   p_e ∝ e^-z,  e = 1 … E          expert_load_zipf = z; 0 gives 1/E each: balanced by force, nothing left to chance
///   p_e as given                    expert_load
///   p_e ≤ 1/k                       a token visits an expert at most once; what is cut goes to the others in
///   proportion
std::vector<double> ExpertShares(const MoeSpec& moe, const Strategy& strategy);

/// What an expert layer does with the assignments of one microbatch on the rank that has most to do, which the others
/// wait for.
///
/// N        assignments that reach the experts of one expert group: tokens · k of its ep · etp ranks
/// n_e      p_e N. Expert e lies on rank e mod ep (shares by Zipf's law), or in blocks of E/ep (shares given)
/// C        rows of a full expert: capacity form ⌈factor N / E⌉, padded form max_e n_e
///
///                        rows held        rows multiplied           dropped
///   dropless             Σ n_e            Σ ⌈n_e / 128⌉ 128         0
///   padded               E/ep C           E/ep C                    0
///   capacity             E/ep C           E/ep C                    Σ max(0, n_e − C) / N over all experts
///
/// Once per rank, a token travels to the distinct ranks among its experts': of k distinct experts of E, E/ep a rank,
///   travelling = tokens · ep (1 − C(E − E/ep, k) / C(E, k))     for balanced choices
///
/// Sums run over the experts of the busiest rank. Block-sparse products work on tiles of 128 rows.
/// Source  Gale et al., "MegaBlocks", arXiv 2211.15841; capacity: Fedus et al., arXiv 2101.03961, section 2.2.
struct ExpertRows {
  double sent = 0;        // assignments of this rank's own tokens, padding included
  double travelling = 0;  // rows that this rank sends, its own share included: `sent`, or fewer
  double held = 0;        // rows that arrive
  double multiplied = 0;  // rows that the products work on
  double fullest = 0;     // of one expert
  double useful = 0;      // mean rows that a rank would hold with neither padding nor imbalance
  double dropped = 0;     // share of the assignments
  double imbalance = 1;   // rows that the busiest rank holds over the mean
};

/// `tokens` of one rank, as they enter its router.
ExpertRows ExpertRowsOf(const MoeSpec& moe, const Strategy& strategy, double tokens);

}  // namespace isochrone::plan
