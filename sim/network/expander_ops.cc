#include <algorithm>
#include <map>
#include <numeric>

#include "base/error.h"
#include "sim/network/expander.h"
#include "sim/network/group_collective.h"

namespace isochrone::sim::network {

using plan::Group;

namespace {

enum class Holds { kOwn, kEmbedding, kPipeline };  // which ranks an op holds together

Holds HoldsOf(const plan::Op& op) {
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  if (collective == nullptr) return Holds::kOwn;
  if (collective->group == Group::kEmbedding) return Holds::kEmbedding;
  const bool whole =
      collective->group == Group::kPipeline || collective->group == Group::kModel || collective->group == Group::kWorld;
  return whole ? Holds::kPipeline : Holds::kOwn;
}

}  // namespace

/// Collectives that are played as messages: those that meet other traffic. Inside a node nobody else is on the links of
/// a tensor, context or expert group; the norm's few bytes over the pipeline take their price.
bool Expander::IsPlayed(const plan::Op& op) {
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  if (collective == nullptr) return false;
  switch (collective->group) {
    case Group::kData:
    case Group::kDataContext:
    case Group::kExpertData:
    case Group::kEmbedding:
      return true;
    case Group::kTensor:
    case Group::kContext:
    case Group::kExpert:
    case Group::kExpertTensor:
    case Group::kShard:
    case Group::kReplica:
      return groups_.SpansNodes(collective->group);
    case Group::kPipeline:
    case Group::kModel:
    case Group::kWorld:
    case Group::kTwin:
      return false;
  }
  return false;
}

std::vector<int> Expander::AddCollective(const plan::Op& op, const std::vector<int>& ranks,
                                         const std::vector<int>& begin) {
  const plan::Collective& collective = std::get<plan::Collective>(op.kind);
  std::map<std::vector<int>, bool> groups;  // of world ranks
  for (const int rank : ranks)
    for (int unit = rank * replicas_; unit < (rank + 1) * replicas_; ++unit)
      for (int lane = 0; lane < lanes_; ++lane) {
        std::vector<int> members;
        if (collective.group == Group::kEmbedding)
          for (const int holder : ranks) members.push_back(WorldRank(holder * replicas_ + unit % replicas_, lane));
        else members = plan::RanksOf(plan_.layout, collective.group, WorldRank(unit, lane));
        groups[members] = true;
      }
  std::vector<int> end(Units(), -1);
  for (const int rank : ranks)
    for (int unit = rank * replicas_; unit < (rank + 1) * replicas_; ++unit) {
      end[unit] = Instant(unit);
      After(begin[unit], end[unit]);
    }
  for (const auto& [members, unused] : groups) {
    if (members.size() < 2) continue;
    Participants who;
    for (const int member : members) {
      who.hosts.push_back(host_of_rank_[member]);
      who.begin.push_back(begin[UnitOf(member)]);
    }
    const std::vector<int> done = AddGroupCollective(&step_.graph, topology_, who, collective,
                                                     inside_.AlgorithmOf(collective), static_cast<int>(op.stream));
    for (std::size_t i = 0; i < members.size(); ++i) After(done[i], end[UnitOf(members[i])]);
  }
  return end;
}

std::vector<int> Expander::AddOp(const plan::Op& op, const std::vector<double>& seconds, const std::vector<int>& ranks,
                                 const std::vector<int>& begin) {
  if (IsPlayed(op)) return AddCollective(op, ranks, begin);
  std::vector<int> end(Units(), -1);
  for (std::size_t i = 0; i < ranks.size(); ++i)
    for (int unit = ranks[i] * replicas_; unit < (ranks[i] + 1) * replicas_; ++unit) {
      end[unit] = step_.graph.AddCompute(HostOf(unit, 0), Seconds(seconds[i]), static_cast<int>(op.stream));
      After(begin[unit], end[unit]);
    }
  return end;
}

void Expander::AddSideTasks() {
  std::vector<std::array<int, plan::kStreams>> last(Units());  // per stream: its side task before
  for (auto& streams : last) streams.fill(-1);
  for (int i = 0; i < static_cast<int>(plan_.side.size()); ++i) {
    const plan::SideTask& side = plan_.side[i];
    const int stream = static_cast<int>(side.op.stream), first = side.rank * replicas_;
    std::vector<int> begin(Units(), -1), end(Units(), -1);
    if (side.op.stream == plan::Stream::kCompute) {
      for (int replica = 0; replica < replicas_; ++replica)
        begin[first + replica] = end[first + replica] = gates_[i][replica].release;
    } else {
      for (int replica = 0; replica < replicas_; ++replica) {
        const int unit = first + replica;
        begin[unit] = Instant(unit);
        After(gates_[i][replica].release, begin[unit]);
        After(last[unit][stream], begin[unit]);
      }
      end = AddOp(side.op, {costs_.side[i]}, {side.rank}, begin);
    }
    for (int replica = 0; replica < replicas_; ++replica) {
      const int unit = first + replica;
      last[unit][stream] = end[unit];
      if (gates_[i][replica].before != end[unit]) After(end[unit], gates_[i][replica].before);
    }
    step_.marks.push_back({-1, end[first], side.rank, plan::SpanKind::kSide, side.op.stream, {}, NameOf(side.op)});
    (side.op.stream == plan::Stream::kCompute ? step_.marks.back().first : step_.marks.back().begin_after) =
        begin[first];
  }
  for (int unit = 0; unit < Units(); ++unit)
    if (IsShown(unit)) step_.side_end.push_back(tail_[unit]);
}

void Expander::Meet(const std::vector<int>& ranks) {
  const int all = Instant(ranks[0] * replicas_);
  for (const int rank : ranks)
    for (int unit = rank * replicas_; unit < (rank + 1) * replicas_; ++unit) {
      After(tail_[unit], all);
      tail_[unit] = all;
    }
}

void Expander::AddNext(const StepOps& step, const std::vector<int>& ranks, std::vector<std::size_t>* at) {
  const plan::Op& op = step.ops[ranks[0]][(*at)[ranks[0]]];
  std::vector<double> seconds;
  for (const int rank : ranks) seconds.push_back(step.seconds[rank][(*at)[rank]]);
  const std::vector<int> begin = tail_, end = AddOp(op, seconds, ranks, begin);
  for (const int rank : ranks) {
    for (int unit = rank * replicas_; unit < (rank + 1) * replicas_; ++unit) tail_[unit] = end[unit];
    step_.marks.push_back({-1, end[rank * replicas_], rank, step.kind, op.stream, {}, NameOf(op)});
    step_.marks.back().begin_after = begin[rank * replicas_];
    ++(*at)[rank];
  }
}

// Ranks go on by themselves until all that are left wait for each other; then those of a tied embedding go on together,
// or else all that wait for the whole pipeline. The same rules as the event engine's PlayOps.
void Expander::AddOps(const StepOps& step, bool barrier) {
  if (step.ops.empty()) return;
  std::vector<std::size_t> at(ranks_, 0);
  std::vector<int> everyone(ranks_);
  std::iota(everyone.begin(), everyone.end(), 0);
  const auto done = [&](int rank) { return at[rank] == step.ops[rank].size(); };
  const auto holds = [&](int rank) { return HoldsOf(step.ops[rank][at[rank]]); };
  const auto waits = [&](int rank) {
    return holds(rank) == Holds::kEmbedding || (holds(rank) == Holds::kPipeline && barrier);
  };
  const auto spans_pipeline = [](const std::vector<plan::Op>& ops) {
    return std::any_of(ops.begin(), ops.end(), [](const plan::Op& op) { return HoldsOf(op) == Holds::kPipeline; });
  };
  if (barrier && std::none_of(step.ops.begin(), step.ops.end(), spans_pipeline)) Meet(everyone);
  for (;;) {
    for (const int rank : everyone)
      while (!done(rank) && !waits(rank)) AddNext(step, {rank}, &at);
    for (const Holds which : {Holds::kEmbedding, Holds::kPipeline}) {
      std::vector<int> together;
      for (const int rank : everyone)
        if (!done(rank) && holds(rank) == which) together.push_back(rank);
      if (together.empty()) {
        if (which == Holds::kPipeline) return;
        continue;
      }
      Meet(together);
      AddNext(step, together, &at);
      break;
    }
  }
}

}  // namespace isochrone::sim::network
