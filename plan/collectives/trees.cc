#include <algorithm>

#include "base/error.h"
#include "plan/collectives/algorithms.h"

namespace isochrone::plan::collectives {

namespace {

/// Adds the all-reduce of blocks [first_block, first_block + chunks) up and down one tree.
class TreeBuilder {
 public:
  TreeBuilder(const std::vector<int>& parent, int first_block, int chunks, StepList* list)
      : parent_(parent), first_block_(first_block), chunks_(chunks), list_(*list) {
    const int ranks = static_cast<int>(parent.size());
    depth_.assign(ranks, 0);
    for (int r = 0; r < ranks; ++r) {
      for (int up = parent[r]; up >= 0; up = parent[up]) ++depth_[r];
      from_root_.push_back(r);
    }
    std::stable_sort(from_root_.begin(), from_root_.end(), [this](int a, int b) { return depth_[a] < depth_[b]; });
    height_ = depth_[from_root_.back()];
    last_up_.assign(ranks, -1);
    last_down_.assign(ranks, -1);
  }

  void Build() {
    for (int chunk = 0; chunk < chunks_; ++chunk) {
      arrived_.assign(parent_.size(), {});
      for (auto r = from_root_.rbegin(); r != from_root_.rend(); ++r) SendUp(*r, chunk);
      for (const int r : from_root_) SendDown(r, chunk);
    }
  }

 private:
  // After the chunk came from every child, and after the chunk before went the same way.
  void SendUp(int rank, int chunk) {
    if (parent_[rank] < 0) return;
    std::vector<int> after = arrived_[rank];
    after.push_back(last_up_[rank]);
    last_up_[rank] = list_.Add(
        {rank, parent_[rank], height_ - depth_[rank] + chunk, first_block_ + chunk, 1, Effect::kReduce}, after);
    arrived_[parent_[rank]].push_back(last_up_[rank]);
  }

  // From the parent, once the sum is there: at the root from all its children, elsewhere from above.
  void SendDown(int rank, int chunk) {
    const int up = parent_[rank];
    if (up < 0) return;
    std::vector<int> after = parent_[up] < 0 ? arrived_[up] : std::vector<int>{last_down_[up]};
    after.push_back(last_down_[rank]);
    last_down_[rank] =
        list_.Add({up, rank, height_ + depth_[rank] - 1 + chunk, first_block_ + chunk, 1, Effect::kCopy}, after);
  }

  const std::vector<int>& parent_;
  int first_block_, chunks_;
  StepList& list_;
  std::vector<int> depth_, from_root_;
  int height_ = 0;
  std::vector<int> last_up_, last_down_;   // per rank: its last message to, from its parent
  std::vector<std::vector<int>> arrived_;  // per rank: messages of this chunk from its children
};

}  // namespace

std::vector<int> BinaryTree(int ranks) {
  std::vector<int> parent(ranks, -1);
  for (int r = 1; r < ranks; ++r) {
    const int bit = r & -r;
    const int up = (r ^ bit) | (bit << 1);
    parent[r] = up < ranks ? up : r ^ bit;
  }
  return parent;
}

StepList TreeAllReduce(const std::vector<int>& parent, int chunks) {
  ISO_CHECK(!parent.empty() && chunks > 0);
  StepList list(static_cast<int>(parent.size()), chunks);
  TreeBuilder(parent, 0, chunks, &list).Build();
  return list;
}

std::array<std::vector<int>, 2> DoubleBinaryTree(int ranks) {
  const std::vector<int> first = BinaryTree(ranks);
  // An even number is mirrored, an odd one shifted by one: what was a leaf becomes an inner rank.
  std::vector<int> second(ranks, -1);
  const auto moved = [ranks](int r) { return ranks % 2 == 0 ? ranks - 1 - r : (r + 1) % ranks; };
  for (int r = 0; r < ranks; ++r) second[moved(r)] = first[r] < 0 ? -1 : moved(first[r]);
  return {first, second};
}

StepList DoubleBinaryTreeAllReduce(int ranks, int chunks) {
  ISO_CHECK(ranks > 0 && chunks > 0);
  const auto [first, second] = DoubleBinaryTree(ranks);
  StepList list(ranks, 2 * chunks);
  TreeBuilder(first, 0, chunks, &list).Build();
  TreeBuilder(second, chunks, chunks, &list).Build();
  return list;
}

}  // namespace isochrone::plan::collectives
