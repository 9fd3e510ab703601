// Collectives inside layers: over tensor ranks, context ranks and the ranks that share experts.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "executor/packed_heads.h"
#include "executor/rank.h"
#include "kernels/cross_entropy.h"
#include "kernels/vector.h"

namespace isochrone::executor {
namespace {

using plan::CollectiveKind;
using plan::Group;

Index ColumnsOf(const plan::Buffer& b) { return b.shape.size() > 1 ? b.shape.back() : 1; }

}  // namespace

template <class T>
Memory::Handle Rank<T>::Scratch(Index elements) {
  return memory_.Allocate(plan::BufferKind::kWorkspace, static_cast<std::size_t>(elements) * sizeof(T), doing_);
}

template <class T>
void Rank<T>::LayerCollective(const Layer& layer, const plan::Op& op, const plan::Collective& c, const Operands<T>& o) {
  const plan::Buffer &in = o.InBuffer(0), &out = o.OutBuffer(0);
  if (in.statistic) return MergeStatistics(o);
  if (c.group == Group::kContext && c.kind == CollectiveKind::kRing) return PassOn(o);
  if (c.group == Group::kContext && c.kind == CollectiveKind::kAllGather) return GatherKeys(o);
  if (c.group == Group::kContext && c.kind == CollectiveKind::kReduceScatter) return ScatterKeys(o);
  if (c.group == Group::kContext && c.kind == CollectiveKind::kAllToAll) return ExchangeHeads(o);
  if (c.group == Group::kExpert && c.kind == CollectiveKind::kAllToAll) return ExchangeRows(o);
  if (c.group == Group::kExpertTensor) return ExchangeExpertTensor(o, c.kind == CollectiveKind::kReduceScatter);
  const Slice<T> slice{o.In(0), o.Out(0), static_cast<Index>(std::max(in.Elements(), out.Elements()))};
  const Team& team = TeamOf(c.group);
  switch (c.kind) {
    case CollectiveKind::kAllReduce:
      return Account(op.stream, communicator_.AllReduce(team, {&slice, 1}));
    case CollectiveKind::kReduceScatter:
      return Account(op.stream, communicator_.ReduceScatter(team, {&slice, 1}));
    case CollectiveKind::kAllGather:
      return Account(op.stream, communicator_.AllGather(team, {&slice, 1}));
    case CollectiveKind::kAllToAll:
    case CollectiveKind::kBroadcast:
    case CollectiveKind::kRing:
      break;
  }
  throw Error(
      "op " + op.name + " of layer " + layer.program->name,
      std::string("the CPU does not run the collective ") + plan::NameOf(c.kind) + " over " + plan::NameOf(c.group),
      "predict this scenario instead");
}

/// Cross-entropy over a sharded vocabulary: maximum, sum and target logit of every token, over all shards.
///
///   M = max m_r,  S = sum_r s_r e^(m_r - M),  t = sum_r t_r
template <class T>
void Rank<T>::MergeStatistics(const Operands<T>& o) {
  const Team& team = TeamOf(plan::Group::kTensor);
  const Index tokens = o.InBuffer(0).shape.back(), size = 3 * tokens;
  const Memory::Handle all = memory_.Allocate(plan::BufferKind::kWorkspace,
                                              static_cast<std::size_t>(size * team.Size()) * sizeof(T), o.op->name);
  T* gathered = all->As<T>();
  const Slice<T> slice{o.In(0), gathered, size * team.Size()};
  Exchange exchange = communicator_.AllGather(team, {&slice, 1});
  const double start = clock_.Now();
  T* merged = o.Out(0);
  for (Index t = 0; t < tokens; ++t) {
    T largest = gathered[t], sum = 0, target = 0;
    for (int r = 1; r < team.Size(); ++r) largest = std::max(largest, gathered[r * size + t]);
    for (int r = 0; r < team.Size(); ++r) {
      const T* of_rank = gathered + r * size;
      sum += of_rank[tokens + t] * std::exp(of_rank[t] - largest);
      target += of_rank[2 * tokens + t];
    }
    merged[t] = largest;
    merged[tokens + t] = sum;
    merged[2 * tokens + t] = target;
  }
  AddLoss(merged, tokens);
  exchange.worked += clock_.Now() - start;
  Account(o.op->stream, exchange);
}

template <class T>
void Rank<T>::AddLoss(const T* statistics, Index tokens) {
  std::vector<T> loss(static_cast<std::size_t>(tokens));
  kernels::CrossEntropyLoss<T>(tokens, statistics, statistics + tokens, statistics + 2 * tokens, loss.data());
  double sum = 0;
  for (const T l : loss) sum += static_cast<double>(l);
  record_.loss += sum * settings_.token_weight;
}

// ---- context ranks --------------------------------------------------------------------------------------------------

/// One hop of a ring: the sum of what comes in goes to the next rank, and the result is the previous rank's. Keys and
/// values are the last columns of packed rows.
template <class T>
void Rank<T>::PassOn(const Operands<T>& o) {
  const Team& team = TeamOf(Group::kContext);
  const plan::Buffer &in = o.InBuffer(0), &out = o.OutBuffer(0);
  const Index rows = in.shape.front(), width = std::min(ColumnsOf(in), ColumnsOf(out)), n = rows * width;
  const double start = clock_.Now();
  const Memory::Handle leaving = Scratch(n), arriving = Scratch(n);
  T *mine = leaving->As<T>(), *theirs = arriving->As<T>();
  CopyColumns<T>(rows, width, o.In(0) + ColumnsOf(in) - width, ColumnsOf(in), mine, width);
  if (o.in.size() > 1) kernels::Add<T>(n, mine, o.In(1), mine);
  const int size = team.Size();
  const int next = team.ranks[static_cast<std::size_t>((team.index + 1) % size)],
            previous = team.ranks[static_cast<std::size_t>((team.index + size - 1) % size)];
  const Tag tag{.direction = Tag::kRing, .microbatch = ring_messages_++};
  communicator_.Send(next, tag, mine, n);
  const double waited = communicator_.Receive(previous, tag, theirs, n).waited;
  CopyColumns<T>(rows, width, theirs, width, o.Out(0) + ColumnsOf(out) - width, ColumnsOf(out));
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

/// Keys and values of all positions, in their order: (B, S, 2 K D).
template <class T>
void Rank<T>::GatherKeys(const Operands<T>& o) {
  const Team& team = TeamOf(Group::kContext);
  const Index rows = o.InBuffer(0).shape.front(), width = ColumnsOf(o.OutBuffer(0)), pitch = ColumnsOf(o.InBuffer(0));
  const Index S = scenario_.model.sequence;
  const double start = clock_.Now();
  const Memory::Handle own = Scratch(rows * width), all = Scratch(rows * width * team.Size());
  CopyColumns<T>(rows, width, o.In(0) + pitch - width, pitch, own->As<T>(), width);
  const Slice<T> slice{own->As<T>(), all->As<T>(), rows * width * team.Size()};
  const double waited = communicator_.AllGather(team, {&slice, 1}).waited;
  for (int member = 0; member < team.Size(); ++member) {
    const T* from = all->As<T>() + member * rows * width;
    const Positions positions(scenario_.model, scenario_.strategy, member);
    positions.ForEachRun(0, rows, [&](Index row, Index length, Index sequence, Index position) {
      std::copy_n(from + row * width, length * width, o.Out(0) + (sequence * S + position) * width);
    });
  }
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

/// The gradients of gathered keys and values, added up where their positions live.
template <class T>
void Rank<T>::ScatterKeys(const Operands<T>& o) {
  const Team& team = TeamOf(Group::kContext);
  const Index rows = o.OutBuffer(0).shape.front(), width = ColumnsOf(o.InBuffer(0)), pitch = ColumnsOf(o.OutBuffer(0));
  const Index S = scenario_.model.sequence;
  const double start = clock_.Now();
  const Memory::Handle own = Scratch(rows * width), all = Scratch(rows * width * team.Size());
  for (int member = 0; member < team.Size(); ++member) {
    T* to = all->As<T>() + member * rows * width;
    const Positions positions(scenario_.model, scenario_.strategy, member);
    positions.ForEachRun(0, rows, [&](Index row, Index length, Index sequence, Index position) {
      std::copy_n(o.In(0) + (sequence * S + position) * width, length * width, to + row * width);
    });
  }
  const Slice<T> slice{all->As<T>(), own->As<T>(), rows * width * team.Size()};
  const double waited = communicator_.ReduceScatter(team, {&slice, 1}).waited;
  CopyColumns<T>(rows, width, own->As<T>(), width, o.Out(0) + pitch - width, pitch);
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

/// Ulysses: from all heads of this rank's positions to some heads of all positions, or back. Packed rows have three
/// sections of heads (queries, keys, values), results one.
template <class T>
void Rank<T>::ExchangeHeads(const Operands<T>& o) {
  const Team& team = TeamOf(Group::kContext);
  const Index n = team.Size(), S = settings_.positions.Local(), B = scenario_.batch.microbatch, rows = B * S;
  const bool to_heads = o.InBuffer(0).shape.front() < o.OutBuffer(0).shape.front();
  const plan::Buffer& wide = to_heads ? o.InBuffer(0) : o.OutBuffer(0);
  const Index columns = ColumnsOf(wide), part = columns / n;
  const std::vector<Index> sections = HeadSections(scenario_.model, plan_.layout.tp, o.op->name, columns);
  // Columns of one member, section by section, between whole rows and a dense part.
  const auto cut = [&](Index member, const T* from, T* to, bool pack) {
    Index whole = 0, dense = 0;
    for (const Index section : sections) {
      const Index width = section / n, at = whole + member * width;
      if (pack) CopyColumns<T>(rows, width, from + at, columns, to + dense, part);
      else CopyColumns<T>(rows, width, from + dense, part, to + at, columns);
      whole += section;
      dense += width;
    }
  };
  // Rows of one member's positions, between (B, S whole) and a dense part.
  const auto place = [&](Index member, const T* from, T* to, bool pack) {
    for (Index b = 0; b < B; ++b) {
      const Index whole = (b * n + member) * S * part, dense = b * S * part;
      std::copy_n(from + (pack ? whole : dense), S * part, to + (pack ? dense : whole));
    }
  };
  const double start = clock_.Now();
  const Memory::Handle leaving = Scratch(n * rows * part), arriving = Scratch(n * rows * part);
  const auto of = [&](const Memory::Handle& h, Index member) { return h->template As<T>() + member * rows * part; };
  for (Index m = 0; m < n; ++m)
    to_heads ? cut(m, o.In(0), of(leaving, m), true) : place(m, o.In(0), of(leaving, m), true);
  const std::vector<Index> counts(static_cast<std::size_t>(n), rows);
  const double waited = AllToAll(Group::kContext, counts, counts, part, leaving->As<T>(), arriving->As<T>());
  for (Index m = 0; m < n; ++m)
    to_heads ? place(m, of(arriving, m), o.Out(0), false) : cut(m, of(arriving, m), o.Out(0), false);
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

// ---- expert ranks ---------------------------------------------------------------------------------------------------

/// Rows from `from`, sent[i] to member i, and received[i] from it into `to`, one after another. Returns the wait.
template <class T>
double Rank<T>::AllToAll(Group group, const std::vector<Index>& sent, const std::vector<Index>& received, Index columns,
                         const T* from, T* to) {
  std::vector<Part<const T>> leaving;
  std::vector<Part<T>> arriving;
  for (const Index rows : sent) {
    leaving.push_back({from, rows * columns});
    from += rows * columns;
  }
  for (const Index rows : received) {
    arriving.push_back({to, rows * columns});
    to += rows * columns;
  }
  return communicator_.AllToAll(TeamOf(group), leaving, arriving).waited;
}

/// Rows (and their weights) to the ranks of their experts, or back.
template <class T>
void Rank<T>::ExchangeRows(const Operands<T>& o) {
  const bool outward = (o.op->name == "dispatch_exchange") != o.backward;
  const std::vector<Index>&leaving = outward ? o.routing->sent : o.routing->arriving,
        &arriving = outward ? o.routing->arriving : o.routing->sent;
  const double start = clock_.Now();
  double waited = 0;
  for (std::size_t i = 0; i < o.in.size(); ++i)
    waited += AllToAll(Group::kExpert, leaving, arriving, ColumnsOf(o.InBuffer(i)), o.In(i), o.Out(i));
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

/// Expert-tensor ranks work on each other's rows: all of them gathered, or partial results of each rank's own rows
/// added up, in the order of ranks.
template <class T>
void Rank<T>::ExchangeExpertTensor(const Operands<T>& o, bool sum) {
  const Team& team = TeamOf(Group::kExpertTensor);
  const std::vector<Index>& rows = o.routing->gathered;
  const Index mine = o.routing->Arriving();
  const double start = clock_.Now();
  double waited = 0;
  for (std::size_t i = 0; i < o.in.size(); ++i) {
    const Index columns = ColumnsOf(o.InBuffer(i));
    if (!sum) {  // the same rows to everybody
      const std::vector<Part<const T>> leaving(rows.size(), {o.In(i), mine * columns});
      std::vector<Part<T>> arriving;
      T* to = o.Out(i);
      for (const Index r : rows) {
        arriving.push_back({to, r * columns});
        to += r * columns;
      }
      waited += communicator_.AllToAll(team, leaving, arriving).waited;
      continue;
    }
    const Index n = mine * columns;
    const Memory::Handle parts = Scratch(n * team.Size());
    T* part = parts->As<T>();
    waited += AllToAll(Group::kExpertTensor, rows, std::vector<Index>(rows.size(), mine), columns, o.In(i), part);
    std::copy_n(part, n, o.Out(i));
    for (int m = 1; m < team.Size(); ++m) kernels::Add<T>(n, o.Out(i), part + m * n, o.Out(i));
  }
  Account(o.op->stream, {waited, clock_.Now() - start - waited});
}

#define ISO_COLLECTIVES(T)                                                                                            \
  template void Rank<T>::LayerCollective(const Layer&, const plan::Op&, const plan::Collective&, const Operands<T>&); \
  template void Rank<T>::AddLoss(const T*, Index);
ISO_COLLECTIVES(float)
ISO_COLLECTIVES(double)

}  // namespace isochrone::executor
