#include "plan/collectives/algorithms.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace isochrone::plan::collectives;

namespace {

// Whose values a rank holds of a block, as a set. A sum that counts a rank twice is no sum.
struct State {
  std::vector<std::vector<std::uint64_t>> of;  // [rank][block]
  bool counted_twice = false;
};

// Plays the messages in a random order that their dependencies allow: many orders, one result, or the list lacks a
// dependency. A message reads when it starts and writes when it ends; others may do both in between.
State Play(const StepList& list, State state, std::mt19937& random) {
  std::vector<int> waits_for(list.Size()), startable, running;
  std::vector<std::vector<int>> before(list.Size());
  std::vector<std::vector<std::uint64_t>> carried(list.Size());
  for (int i = 0; i < list.Size(); ++i) {
    waits_for[i] = static_cast<int>(list.After(i).size());
    for (const int earlier : list.After(i)) before[earlier].push_back(i);
    if (waits_for[i] == 0) startable.push_back(i);
  }
  const auto take = [&](std::vector<int>& from) {
    std::swap(from[random() % from.size()], from.back());
    const int i = from.back();
    from.pop_back();
    return i;
  };
  while (!startable.empty() || !running.empty()) {
    if (running.empty() || (!startable.empty() && random() % 2 == 0)) {
      const int i = take(startable);
      const Message& m = list.At(i);
      const auto from = state.of[m.src].begin() + m.first_block;
      carried[i].assign(from, from + m.blocks);
      running.push_back(i);
      continue;
    }
    const int i = take(running);
    const Message& m = list.At(i);
    for (int b = 0; b < m.blocks; ++b) {
      std::uint64_t& held = state.of[m.dst][m.first_block + b];
      if (m.effect == Effect::kReduce && (held & carried[i][b]) != 0) state.counted_twice = true;
      held = m.effect == Effect::kReduce ? held | carried[i][b] : carried[i][b];
    }
    for (const int next : before[i])
      if (--waits_for[next] == 0) startable.push_back(next);
  }
  return state;
}

State OwnValues(const StepList& list) {
  State state;
  for (int r = 0; r < list.Ranks(); ++r) state.of.emplace_back(list.Blocks(), std::uint64_t{1} << r);
  return state;
}

std::uint64_t All(int ranks) { return ranks == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << ranks) - 1; }

void CheckAllReduce(const StepList& list) {
  std::mt19937 random(11);
  for (int order = 0; order < 20; ++order) {
    const State end = Play(list, OwnValues(list), random);
    CHECK_FALSE(end.counted_twice);
    for (const auto& blocks : end.of) CHECK(blocks == std::vector<std::uint64_t>(list.Blocks(), All(list.Ranks())));
  }
}

// `share_of(r)` is the share that rank r keeps.
template <class ShareOf>
void CheckReduceScatter(const StepList& list, ShareOf share_of) {
  std::mt19937 random(12);
  const State end = Play(list, OwnValues(list), random);
  CHECK_FALSE(end.counted_twice);
  for (int r = 0; r < list.Ranks(); ++r) CHECK(end.of[r][share_of(r)] == All(list.Ranks()));
}

template <class ShareOf>
void CheckAllGather(const StepList& list, ShareOf share_of) {
  State start;
  std::vector<std::uint64_t> all(list.Blocks());
  for (int r = 0; r < list.Ranks(); ++r) {
    start.of.emplace_back(list.Blocks(), 0);
    start.of[r][share_of(r)] = all[share_of(r)] = std::uint64_t{1} << r;
  }
  std::mt19937 random(13);
  for (int order = 0; order < 5; ++order)
    for (const auto& blocks : Play(list, start, random).of) CHECK(blocks == all);
}

const int kRanks[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 33};

}  // namespace

TEST_CASE("after any all-reduce every rank holds the sum over all ranks of every block", "[collectives]") {
  for (const int n : kRanks) {
    INFO(n << " ranks");
    CheckAllReduce(RingAllReduce(n));
    CheckAllReduce(HalvingDoublingAllReduce(n));
    for (const int chunks : {1, 2, 5}) {
      CheckAllReduce(DoubleBinaryTreeAllReduce(n, chunks));
      CheckAllReduce(TreeAllReduce(BinaryTree(n), chunks));
    }
    for (const int per_group : {1, 2, 4, n})
      if (n % per_group == 0) CheckAllReduce(HierarchicalAllReduce(n, per_group));
  }
}

TEST_CASE("a reduce-scatter leaves each rank its share, from which the all-gather goes on", "[collectives]") {
  for (const int n : kRanks) {
    INFO(n << " ranks");
    const auto own = [](int r) { return r; };
    CheckReduceScatter(RingReduceScatter(n), own);
    CheckAllGather(RingAllGather(n), own);
    for (const int g : {1, 2, 4, n}) {
      if (n % g != 0) continue;
      const auto share = [g, groups = n / g](int r) { return r % g * groups + r / g; };
      CheckReduceScatter(HierarchicalReduceScatter(n, g), share);
      CheckAllGather(HierarchicalAllGather(n, g), share);
    }
  }
}

TEST_CASE("an all-to-all brings every rank its block from every other", "[collectives]") {
  for (const int n : kRanks) {
    const StepList list = PairwiseAllToAll(n);
    State start;
    for (int r = 0; r < n; ++r) {
      start.of.emplace_back(n * n, 0);
      for (int q = 0; q < n; ++q) start.of[r][r * n + q] = std::uint64_t{1} << r;
    }
    std::mt19937 random(14);
    const State end = Play(list, start, random);
    for (int q = 0; q < n; ++q)
      for (int r = 0; r < n; ++r) CHECK(end.of[q][r * n + q] == std::uint64_t{1} << r);
  }
}

TEST_CASE("a broadcast reaches the end of the chain in ranks + chunks - 2 steps", "[collectives]") {
  for (const int n : {2, 3, 8}) {
    const StepList list = ChainBroadcast(n, 4);
    CHECK(list.Steps() == n + 4 - 2);
    State start;
    for (int r = 0; r < n; ++r) start.of.emplace_back(4, r == 0 ? 1 : 0);
    std::mt19937 random(15);
    for (const auto& blocks : Play(list, start, random).of) CHECK(blocks == std::vector<std::uint64_t>(4, 1));
  }
  CHECK(PointToPoint().Size() == 1);
}

TEST_CASE("no rank sends more than its algorithm promises", "[collectives]") {
  const auto most_sent = [](const StepList& list) {
    std::vector<double> sent(list.Ranks());
    for (int i = 0; i < list.Size(); ++i) sent[list.At(i).src] += list.BytesOf(i, isochrone::Bytes(1)).value;
    return *std::max_element(sent.begin(), sent.end());
  };
  for (const int n : {2, 8, 64, 1024}) {
    INFO(n << " ranks");
    CHECK(most_sent(RingAllReduce(n)) == Approx(2.0 * (n - 1) / n));
    CHECK(RingAllReduce(n).Steps() == 2 * (n - 1));
    CHECK(most_sent(HalvingDoublingAllReduce(n)) == Approx(2.0 * (n - 1) / n));
    CHECK(most_sent(HierarchicalAllReduce(n, 2)) == Approx(2.0 * (n - 1) / n));
  }
  for (int n = 2; n <= 70; ++n) CHECK(most_sent(DoubleBinaryTreeAllReduce(n, 3)) <= 2.0 + 1e-9);
}

TEST_CASE("a rank is inner in at most one of the two trees, but for the first, which is a root with one child",
          "[collectives]") {
  for (int n = 2; n <= 70; ++n) {
    const StepList list = DoubleBinaryTreeAllReduce(n, 1);
    std::vector<std::vector<bool>> seen(2, std::vector<bool>(n, false));
    for (int i = 0; i < list.Size(); ++i) {
      const Message& m = list.At(i);
      if (m.effect == Effect::kReduce) seen[m.first_block][m.dst] = true;
    }
    for (int r = 1; r < n; ++r) CHECK(seen[0][r] + seen[1][r] <= 1);
  }
}
