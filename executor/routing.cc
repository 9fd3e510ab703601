#include "executor/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/permute.h"
#include "plan/expert_load.h"

namespace isochrone::executor {
namespace {

constexpr double kGolden = 0.6180339887498949;  // 1 / golden ratio: multiples of it fill the unit interval evenly

bool IsBalanced(const plan::Strategy& s) { return s.expert_load.empty() && s.expert_load_zipf == 0; }

/// Where an expert lives: rank of the expert group, and number on it.
struct Home {
  int rank, local;
};
std::vector<Home> HomesOf(const plan::Scenario& s) {
  const int ranks = s.strategy.expert, local = s.model.moe->experts / ranks;
  std::vector<Home> homes(static_cast<std::size_t>(s.model.moe->experts));
  for (int rank = 0; rank < ranks; ++rank) {
    for (int i = 0; i < local; ++i) homes[static_cast<std::size_t>(ExpertAt(s, rank, i))] = {rank, i};
  }
  return homes;
}

/// Calls body(sequence of the batch, position) for every token that `rank` routes, in the order of its rows.
template <class Body>
void ForEachToken(const plan::Scenario& s, const plan::Layout& l, int rank, int microbatches, int microbatch,
                  Body body) {
  const plan::Coordinates at = plan::CoordinatesOf(l, rank);
  const Positions positions(s.model, s.strategy, at.cp);
  const Index B = s.batch.microbatch, rows = B * positions.Local() / l.tp;
  const Index first_sequence = (Index{at.dp} * microbatches + microbatch) * B;
  positions.ForEachRun(rows * at.tp, rows, [&](Index, Index length, Index sequence, Index position) {
    for (Index i = 0; i < length; ++i) body(first_sequence + sequence, position + i);
  });
}

}  // namespace

int ExpertAt(const plan::Scenario& s, int rank, int i) {
  const int ranks = s.strategy.expert, local = s.model.moe->experts / ranks;
  return s.strategy.expert_load.empty() ? rank + i * ranks : rank * local + i;
}

RoutingTable::RoutingTable(const plan::Scenario& s)
    : experts_(s.model.moe->experts), topk_(s.model.moe->topk), sequence_(s.model.sequence) {
  std::vector<double> ends;  // of the experts' parts of a line of length k
  double end = 0;
  for (const double share : plan::ExpertShares(*s.model.moe, s.strategy)) ends.push_back(end += topk_ * share);
  const Index tokens = s.batch.sequences * sequence_;
  chosen_.resize(static_cast<std::size_t>(tokens * topk_));
  for (Index n = 0; n < tokens; ++n) {
    std::int32_t* chosen = chosen_.data() + n * topk_;
    if (IsBalanced(s.strategy)) {
      for (int j = 0; j < topk_; ++j) chosen[j] = static_cast<std::int32_t>((n * topk_ + j) % experts_);
    } else {
      Choose(n, ends, chosen);
    }
  }
  kept_ = chosen_;
  if (s.model.moe->capacity_factor <= 0) return;
  const Index assignments = sequence_ * topk_;
  const Index capacity =
      static_cast<Index>(std::ceil(s.model.moe->capacity_factor * static_cast<double>(assignments) / experts_ - 1e-9));
  for (Index b = 0; b < s.batch.sequences; ++b) {
    std::vector<Index> taken(static_cast<std::size_t>(experts_), 0);
    const std::size_t at = static_cast<std::size_t>(b * assignments);
    kernels::DropOverCapacity(assignments, capacity, chosen_.data() + at, kept_.data() + at, taken.data());
  }
}

void RoutingTable::Choose(Index token, const std::vector<double>& ends, std::int32_t* chosen) const {
  const double product = static_cast<double>(token) * kGolden, start = product - std::floor(product);
  for (int j = 0; j < topk_; ++j) {
    const auto it = std::upper_bound(ends.begin(), ends.end() - 1, start + j);
    chosen[j] = static_cast<std::int32_t>(it - ends.begin());
    if (j > 0) chosen[j] = std::max(chosen[j], chosen[j - 1] + 1);  // a part of length 1 may be rounded up
  }
}

const std::int32_t* RoutingTable::Chosen(Index sequence, Index position) const {
  return chosen_.data() + (sequence * sequence_ + position) * topk_;
}

const std::int32_t* RoutingTable::Kept(Index sequence, Index position) const {
  return kept_.data() + (sequence * sequence_ + position) * topk_;
}

Index Routing::Sum(const std::vector<Index>& v) { return std::accumulate(v.begin(), v.end(), Index{0}); }

Routing RoutingOf(const plan::Scenario& s, const plan::Layout& l, const RoutingTable& table, int rank, int microbatches,
                  int microbatch) {
  const int k = table.TopK(), local = table.Experts() / l.ep;
  const std::vector<Home> homes = HomesOf(s);
  Routing r;
  r.topk = k;
  r.local_experts = local;

  // This rank's own rows, sorted by where they go and by expert there.
  std::vector<std::int32_t> slot;  // of an assignment: expert rank · local experts + number
  ForEachToken(s, l, rank, microbatches, microbatch, [&](Index sequence, Index position) {
    const std::int32_t *chosen = table.Chosen(sequence, position), *kept = table.Kept(sequence, position);
    for (int j = 0; j < k; ++j) {
      r.chosen.push_back(chosen[j]);
      const Home home = homes[static_cast<std::size_t>(chosen[j])];
      slot.push_back(kept[j] == kernels::kDropped ? kernels::kDropped : home.rank * local + home.local);
    }
  });
  std::vector<Index> offsets(static_cast<std::size_t>(table.Experts() + 1));
  r.row_of.resize(slot.size());
  kernels::PlanPermutation(static_cast<Index>(slot.size()), table.Experts(), slot.data(), offsets.data(),
                           r.row_of.data());
  for (int e = 0; e < l.ep; ++e)
    r.sent.push_back(offsets[static_cast<std::size_t>((e + 1) * local)] - offsets[static_cast<std::size_t>(e * local)]);

  // What the experts of this rank's expert-tensor group get: from every member, by expert.
  const std::vector<int> tensor = plan::RanksOf(l, plan::Group::kExpertTensor, rank);
  const std::vector<int> group = plan::RanksOf(l, plan::Group::kExpert, rank);
  const int mine = static_cast<int>(std::find(group.begin(), group.end(), rank) - group.begin());
  std::vector<std::vector<Index>> rows;  // [member][local expert]
  for (const int q : tensor) {
    Index received = 0;
    for (const int from : plan::RanksOf(l, plan::Group::kExpert, q)) {
      std::vector<Index>& count = rows.emplace_back(static_cast<std::size_t>(local), 0);
      ForEachToken(s, l, from, microbatches, microbatch, [&](Index sequence, Index position) {
        const std::int32_t* kept = table.Kept(sequence, position);
        for (int j = 0; j < k; ++j) {
          if (kept[j] == kernels::kDropped) continue;
          const Home home = homes[static_cast<std::size_t>(kept[j])];
          if (home.rank == mine) ++count[static_cast<std::size_t>(home.local)];
        }
      });
      if (q == rank) r.arriving.push_back(Routing::Sum(count));
      received += Routing::Sum(count);
    }
    r.gathered.push_back(received);
  }
  r.offsets.assign(1, 0);
  for (int e = 0; e < local; ++e) {
    Index sum = r.offsets.back();
    for (const std::vector<Index>& count : rows) sum += count[static_cast<std::size_t>(e)];
    r.offsets.push_back(sum);
  }
  std::vector<Index> next(r.offsets.begin(), r.offsets.end() - 1);
  Index from = 0;
  for (const std::vector<Index>& count : rows) {
    for (std::size_t e = 0; e < count.size(); ++e) {
      r.runs.push_back({from, next[e], count[e]});
      from += count[e];
      next[e] += count[e];
    }
  }
  return r;
}

}  // namespace isochrone::executor
