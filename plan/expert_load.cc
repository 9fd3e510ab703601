#include "plan/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace isochrone::plan {
namespace {

constexpr double kTile = 128;  // rows of a block-sparse tile

/// Cuts shares at `most` and gives the rest to those below, in proportion, until none exceeds it.
void Cap(std::vector<double>& shares, double most) {
  std::vector<bool> full(shares.size(), false);
  for (std::size_t round = 0; round < shares.size(); ++round) {
    double kept = 0, free = 0;
    for (std::size_t e = 0; e < shares.size(); ++e) (full[e] ? kept : free) += shares[e];
    bool cut = false;
    for (std::size_t e = 0; e < shares.size(); ++e) {
      if (full[e]) continue;
      shares[e] *= free > 0 ? (1 - kept) / free : 0;
      if (shares[e] <= most * (1 + 1e-12)) continue;
      cut = full[e] = true;
    }
    for (std::size_t e = 0; e < shares.size(); ++e) shares[e] = full[e] ? most : shares[e];
    if (!cut) return;
  }
}

double RowsOfExpert(double assignments, const MoeSpec& moe, double full) {
  if (moe.capacity_factor > 0 || moe.padded) return full;
  return std::ceil(assignments / kTile - 1e-9) * kTile;
}

/// Distinct ranks, of `ranks`, that hold the experts of one token.
double RanksOfToken(const MoeSpec& moe, int ranks) {
  double missed = 1;  // chance that none of k distinct experts is one of a given rank's
  for (int i = 0; i < moe.topk; ++i) {
    const double left = moe.experts - i;
    missed *= std::max(0.0, left - moe.experts / ranks) / left;
  }
  return ranks * (1 - missed);
}

}  // namespace

std::vector<double> ExpertShares(const MoeSpec& moe, const Strategy& strategy) {
  std::vector<double> shares = strategy.expert_load;
  if (shares.empty()) {
    for (int e = 1; e <= moe.experts; ++e) shares.push_back(std::pow(e, -strategy.expert_load_zipf));
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  if (moe.topk < moe.experts) Cap(shares, 1.0 / moe.topk);
  return shares;
}

ExpertRows ExpertRowsOf(const MoeSpec& moe, const Strategy& strategy, double tokens) {
  const std::vector<double> shares = ExpertShares(moe, strategy);
  const int ranks = strategy.expert, local = moe.experts / ranks;
  const double own = tokens * moe.topk, all = own * ranks * strategy.expert_tensor;
  const double most = *std::max_element(shares.begin(), shares.end()) * all;
  const bool capacity = moe.capacity_factor > 0, fixed = capacity || moe.padded;
  const double full = capacity ? std::ceil(moe.capacity_factor * all / moe.experts - 1e-9) : most;

  ExpertRows busiest;
  for (int rank = 0; rank < ranks; ++rank) {
    ExpertRows mine;
    for (int i = 0; i < local; ++i) {
      const int expert = strategy.expert_load.empty() ? rank + i * ranks : rank * local + i;
      const double assignments = shares[static_cast<std::size_t>(expert)] * all;
      mine.held += fixed ? full : assignments;
      mine.multiplied += RowsOfExpert(assignments, moe, full);
      mine.fullest = std::max(mine.fullest, RowsOfExpert(assignments, moe, full));
    }
    if (mine.multiplied > busiest.multiplied) busiest = mine;
  }
  busiest.useful = all / ranks;
  busiest.imbalance = fixed ? 1 : busiest.held / busiest.useful;
  busiest.sent = fixed ? full * moe.experts / ranks / strategy.expert_tensor : own;
  const bool once = strategy.expert_dispatch == ExpertDispatch::kOncePerRank && !fixed;
  busiest.travelling = once ? tokens * RanksOfToken(moe, ranks) : busiest.sent;
  for (double share : shares) busiest.dropped += capacity ? std::max(0.0, share * all - full) / all : 0;
  return busiest;
}

}  // namespace isochrone::plan
