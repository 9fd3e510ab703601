#include "plan/layout.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "plan/scenario.h"

using namespace isochrone::plan;

TEST_CASE("a job on several racks takes as many GPUs of each", "[layout]") {
  isochrone::plan::Node rack;
  rack.gpus = 4;
  rack.domain_gpus = 72;
  CHECK(DomainGpusUsed(rack, 64) == 72);
  CHECK(DomainGpusUsed(rack, 72) == 72);
  CHECK(DomainGpusUsed(rack, 128) == 64);
  CHECK(DomainGpusUsed(rack, 144) == 72);
  CHECK(DomainGpusUsed(rack, 256) == 64);
  CHECK(DomainGpusUsed(rack, 1024) == 64);
  CHECK(DomainGpusUsed(rack, 73) == 72);  // no whole servers divide it
  isochrone::plan::Node server;
  server.gpus = server.domain_gpus = 8;
  CHECK(DomainGpusUsed(server, 20) == 8);
}

TEST_CASE("groups that reach from one socket's cards to the other's share the way between", "[layout]") {
  Layout l;
  l.gpus_per_node = 8, l.root_gpus = 4;
  const auto sharing = [&](int tp, int dp, int pp, Group kind) {
    l.tp = tp, l.dp = dp, l.pp = pp;
    return ShapeOf(l, kind).sharing;
  };
  CHECK(sharing(8, 1, 1, Group::kTensor) == 1);
  CHECK(sharing(4, 2, 1, Group::kTensor) == 1);  // each on a socket of its own
  CHECK(sharing(4, 2, 1, Group::kData) == 4);
  CHECK(sharing(2, 4, 1, Group::kData) == 2);
  CHECK(sharing(2, 2, 2, Group::kData) == 1);  // two pairs on each socket
  CHECK(sharing(4, 2, 2, Group::kData) == 4);  // two nodes, and each group in one
  CHECK(sharing(8, 4, 1, Group::kData) == 8);  // between nodes: by their NICs
  l.root_gpus = 0;
  CHECK(sharing(4, 2, 1, Group::kData) == 1);
}

namespace {

constexpr Group kAll[] = {Group::kTensor,    Group::kContext,      Group::kData,       Group::kDataContext,
                          Group::kExpert,    Group::kExpertTensor, Group::kExpertData, Group::kPipeline,
                          Group::kEmbedding, Group::kModel,        Group::kWorld};

/// Small layouts of every kind: all degrees of 1, 2, 3 and 4 whose expert regrouping is whole.
std::vector<Layout> SmallLayouts() {
  std::vector<Layout> all;
  for (int tp : {1, 2, 4})
    for (int cp : {1, 2})
      for (int dp : {1, 2, 3, 4})
        for (int pp : {1, 2, 3})
          for (int ep : {1, 2, 4})
            for (int etp : {1, 2})
              for (bool inner : {false, true})
                for (int gpus : {4, 6, 8}) {
                  if (tp * cp * dp % (ep * etp) != 0) continue;
                  Layout l;
                  l.tp = tp, l.cp = cp, l.dp = dp, l.pp = pp, l.ep = ep, l.etp = etp;
                  l.gpus_per_node = gpus;
                  l.pipeline_innermost_of_data = inner;
                  all.push_back(l);
                }
  return all;
}

int ExpectedSize(const Layout& l, Group kind) {
  switch (kind) {
    case Group::kTensor:
      return l.tp;
    case Group::kContext:
      return l.cp;
    case Group::kData:
      return l.dp;
    case Group::kDataContext:
      return l.dp * l.cp;
    case Group::kExpert:
      return l.ep;
    case Group::kExpertTensor:
      return l.etp;
    case Group::kExpertData:
      return l.Edp();
    case Group::kPipeline:
      return l.pp;
    case Group::kEmbedding:
    case Group::kTwin:
      return l.pp > 1 ? 2 : 1;
    case Group::kModel:
      return l.tp * l.pp;
    case Group::kWorld:
      return l.World();
    case Group::kShard:
      return l.Shard();
    case Group::kReplica:
      return l.dp * l.cp / l.Shard();
  }
  return 0;
}

/// How a group lies on nodes, counted one rank at a time.
GroupShape Counted(const Layout& l, Group kind) {
  std::set<std::vector<int>> groups;
  for (int r = 0; r < l.World(); ++r) groups.insert(RanksOf(l, kind, r));
  GroupShape worst;
  std::map<int, int> crossing;
  for (const auto& group : groups) {
    std::map<int, int> members;
    for (int r : group) ++members[r / l.gpus_per_node];
    worst.size = std::max(worst.size, static_cast<int>(group.size()));
    worst.nodes = std::max(worst.nodes, static_cast<int>(members.size()));
    if (members.size() > 1) {
      for (const auto& [node, n] : members) ++crossing[node];
    }
  }
  for (const auto& [node, n] : crossing) worst.sharing = std::max(worst.sharing, n);
  return worst;
}

}  // namespace

TEST_CASE("groups of every kind partition the world into equal parts", "[layout]") {
  for (const Layout& l : SmallLayouts()) {
    for (Group kind : kAll) {
      for (int r = 0; r < l.World(); ++r) {
        const std::vector<int> group = RanksOf(l, kind, r);
        REQUIRE(std::is_sorted(group.begin(), group.end()));
        REQUIRE(std::count(group.begin(), group.end(), r) == 1);
        const bool inside = kind == Group::kEmbedding && CoordinatesOf(l, r).pp % std::max(1, l.pp - 1) != 0;
        REQUIRE(static_cast<int>(group.size()) == (inside ? 1 : ExpectedSize(l, kind)));
        for (int other : group) REQUIRE(RanksOf(l, kind, other) == group);
      }
    }
  }
}

TEST_CASE("the groups of one rank along its dimensions meet in that rank alone", "[layout]") {
  for (const Layout& l : SmallLayouts()) {
    for (int r = 0; r < l.World(); ++r) {
      for (const std::vector<Group>& dimensions :
           {std::vector<Group>{Group::kTensor, Group::kContext, Group::kData, Group::kPipeline},
            std::vector<Group>{Group::kExpertTensor, Group::kExpert, Group::kExpertData, Group::kPipeline}}) {
        std::map<int, int> seen;
        for (Group kind : dimensions) {
          for (int other : RanksOf(l, kind, r)) ++seen[other];
        }
        for (const auto& [other, times] : seen) REQUIRE(times == (other == r ? 4 : 1));
      }
    }
  }
}

TEST_CASE("expert groups regroup the ranks of one stage", "[layout]") {
  for (const Layout& l : SmallLayouts()) {
    for (int r = 0; r < l.World(); ++r) {
      for (Group kind : {Group::kExpert, Group::kExpertTensor, Group::kExpertData}) {
        for (int other : RanksOf(l, kind, r)) REQUIRE(CoordinatesOf(l, other).pp == CoordinatesOf(l, r).pp);
      }
    }
  }
}

TEST_CASE("coordinates name a rank and back", "[layout]") {
  for (const Layout& l : SmallLayouts()) {
    for (int r = 0; r < l.World(); ++r) REQUIRE(RankAt(l, CoordinatesOf(l, r)) == r);
  }
}

TEST_CASE("the shape of a group is that of the worst group, counted rank by rank", "[layout]") {
  for (const Layout& l : SmallLayouts()) {
    for (Group kind : kAll) {
      const GroupShape shape = ShapeOf(l, kind), counted = Counted(l, kind);
      INFO("tp " << l.tp << " cp " << l.cp << " dp " << l.dp << " pp " << l.pp << " ep " << l.ep << " etp " << l.etp
                 << " gpus " << l.gpus_per_node << " inner " << l.pipeline_innermost_of_data << " kind "
                 << NameOf(kind));
      REQUIRE(shape.size == counted.size);
      REQUIRE(shape.nodes == counted.nodes);
      REQUIRE(shape.sharing == counted.sharing);
      REQUIRE(shape.per_node * shape.nodes >= shape.size);
    }
  }
}

TEST_CASE("Megatron's order: tensor inside the node, data over the nodes of a stage, stages apart", "[layout]") {
  Layout l;  // 145.6B of arXiv 2104.04473: 1536 GPUs
  l.tp = 8, l.pp = 8, l.dp = 24;
  CHECK(RanksOf(l, Group::kTensor, 9) == std::vector<int>{8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(RanksOf(l, Group::kPipeline, 1) == std::vector<int>{1, 193, 385, 577, 769, 961, 1153, 1345});
  CHECK(ShapeOf(l, Group::kTensor) == GroupShape{8, 8, 1, 1});
  CHECK(ShapeOf(l, Group::kData) == GroupShape{24, 1, 24, 8});
  CHECK(ShapeOf(l, Group::kPipeline) == GroupShape{8, 1, 8, 8});
  CHECK(ShapeOf(l, Group::kEmbedding) == GroupShape{2, 1, 2, 8});
  CHECK(ShapeOf(l, Group::kModel) == GroupShape{64, 8, 8, 1});
  CHECK(ShapeOf(l, Group::kWorld) == GroupShape{1536, 8, 192, 1});
}

TEST_CASE("a tensor group over two nodes and data inside a node", "[layout]") {
  Layout l;
  l.tp = 16, l.dp = 2;
  CHECK(ShapeOf(l, Group::kTensor) == GroupShape{16, 8, 2, 1});
  l.tp = 2, l.dp = 16;
  CHECK(ShapeOf(l, Group::kData) == GroupShape{16, 4, 4, 2});
}

TEST_CASE("a pipeline stays inside a node only where it is numbered inside data and fits", "[layout]") {
  Layout l;
  l.tp = 2, l.dp = 8, l.pp = 4;
  CHECK(PipelineCrossesNodes(l));
  l.pipeline_innermost_of_data = true;
  CHECK_FALSE(PipelineCrossesNodes(l));
  CHECK(ShapeOf(l, Group::kPipeline) == GroupShape{4, 4, 1, 1});
  l.pp = 8;
  CHECK(PipelineCrossesNodes(l));
  l.pp = 1;
  CHECK_FALSE(PipelineCrossesNodes(l));
}

TEST_CASE("of the hops of a pipeline with several stages in a node only those at a node's end cross", "[layout]") {
  Layout l;
  l.tp = 1, l.dp = 2, l.pp = 12;  // four stages a node
  for (int rank = 0; rank < l.pp; ++rank) CHECK(PipelineCrossesNodes(l, rank, (rank + 1) % l.pp) == (rank % 4 == 3));
  CHECK(NodesHoldSeveralStages(l));
  l.gpus_per_node = 3;
  CHECK_FALSE(NodesHoldSeveralStages(l));
  l.gpus_per_node = 6;  // three stages a node
  CHECK_FALSE(PipelineCrossesNodes(l, 1, 2));
  CHECK(PipelineCrossesNodes(l, 2, 3));
}

TEST_CASE("a hundred thousand ranks that do not fill their nodes are laid out at once", "[layout]") {
  Layout l;
  l.tp = 3, l.dp = 5000, l.pp = 7;
  l.gpus_per_node = 72;
  const auto start = std::chrono::steady_clock::now();
  for (Group kind : kAll) CHECK(ShapeOf(l, kind).size == ExpectedSize(l, kind));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
