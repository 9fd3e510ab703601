#include "base/error.h"
#include "plan/collectives/algorithms.h"
#include "plan/collectives/step_builder.h"

namespace isochrone::plan::collectives {

namespace {

int Wrap(int x, int n) { return ((x % n) + n) % n; }

/// Many rings of one size that turn at once. Ring `i` has members rank(i, 0 .. size-1); member m's share of ring i's
/// part of the buffer is blocks [share(i, m), + share_blocks).
template <class Rank, class Share>
struct Rings {
  int count, size, share_blocks;
  Rank rank;
  Share share;

  // Step s: member m sends share m - s - 1, so that the sum of share m ends at member m.
  void ReduceScatter(StepBuilder* b) const {
    for (int s = 0; s < size - 1; ++s) Turn(b, -s - 1, Effect::kReduce);
  }
  // Step s: member m sends share m - s, its own first.
  void AllGather(StepBuilder* b) const {
    for (int s = 0; s < size - 1; ++s) Turn(b, -s, Effect::kCopy);
  }

 private:
  void Turn(StepBuilder* b, int offset, Effect effect) const {
    for (int i = 0; i < count; ++i)
      for (int m = 0; m < size; ++m)
        b->Send(rank(i, m), rank(i, Wrap(m + 1, size)), share(i, Wrap(m + offset, size)), share_blocks, effect);
    b->EndStep();
  }
};

auto OneRing(int ranks) {
  const auto rank = [](int, int m) { return m; };
  return Rings<decltype(rank), decltype(rank)>{1, ranks, 1, rank, rank};
}

// Ring `group` joins the ranks of a group; the share of place p is all blocks [p groups, (p+1) groups).
auto InsideRings(int groups, int per_group) {
  const auto rank = [per_group](int group, int place) { return group * per_group + place; };
  const auto share = [groups](int, int place) { return place * groups; };
  return Rings<decltype(rank), decltype(share)>{groups, per_group, groups, rank, share};
}

// Ring `place` joins the ranks of that place in all groups, within the share of the place.
auto AcrossRings(int groups, int per_group) {
  const auto rank = [per_group](int place, int group) { return group * per_group + place; };
  const auto share = [groups](int place, int group) { return place * groups + group; };
  return Rings<decltype(rank), decltype(share)>{per_group, groups, 1, rank, share};
}

}  // namespace

StepList RingAllReduce(int ranks) {
  StepBuilder b(ranks, ranks);
  OneRing(ranks).ReduceScatter(&b);
  OneRing(ranks).AllGather(&b);
  return b.Take();
}

StepList RingReduceScatter(int ranks) {
  StepBuilder b(ranks, ranks);
  OneRing(ranks).ReduceScatter(&b);
  return b.Take();
}

StepList RingAllGather(int ranks) {
  StepBuilder b(ranks, ranks);
  OneRing(ranks).AllGather(&b);
  return b.Take();
}

StepList HierarchicalAllReduce(int ranks, int per_group) {
  ISO_CHECK(per_group > 0 && ranks % per_group == 0);
  const int groups = ranks / per_group;
  StepBuilder b(ranks, ranks);
  InsideRings(groups, per_group).ReduceScatter(&b);
  AcrossRings(groups, per_group).ReduceScatter(&b);
  AcrossRings(groups, per_group).AllGather(&b);
  InsideRings(groups, per_group).AllGather(&b);
  return b.Take();
}

StepList HierarchicalReduceScatter(int ranks, int per_group) {
  ISO_CHECK(per_group > 0 && ranks % per_group == 0);
  StepBuilder b(ranks, ranks);
  InsideRings(ranks / per_group, per_group).ReduceScatter(&b);
  AcrossRings(ranks / per_group, per_group).ReduceScatter(&b);
  return b.Take();
}

StepList HierarchicalAllGather(int ranks, int per_group) {
  ISO_CHECK(per_group > 0 && ranks % per_group == 0);
  StepBuilder b(ranks, ranks);
  AcrossRings(ranks / per_group, per_group).AllGather(&b);
  InsideRings(ranks / per_group, per_group).AllGather(&b);
  return b.Take();
}

}  // namespace isochrone::plan::collectives
