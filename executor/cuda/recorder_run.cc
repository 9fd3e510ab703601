// How recorded work is checked when it is launched, and carried out.
#include <algorithm>
#include <cstring>
#include <set>
#include <type_traits>

#include "base/error.h"
#include "executor/cuda/recorder_state.h"

namespace isochrone::executor::cuda {
namespace {

std::string RankText(int rank) { return "rank " + std::to_string(rank); }

bool IsMessage(const NcclOp& op) { return op.kind == NcclKind::kSend || op.kind == NcclKind::kReceive; }

/// What the two ends of a message, or all members of a collective, have in common: name, from, to, number.
std::tuple<std::string, int, int, std::uint64_t> MeetingOf(const NcclOp& op) {
  if (!IsMessage(op)) return {op.comm->name, -1, -1, op.number};
  const bool sends = op.kind == NcclKind::kSend;
  return {op.comm->name, sends ? op.comm->index : op.peer, sends ? op.peer : op.comm->index, op.number};
}

/// In the order of ranks; numbers of two bytes are rounded after each addition, as they travel.
template <class C>
std::vector<C> Summed(const std::vector<const NcclOp*>& members) {
  using Wide = std::conditional_t<sizeof(C) == 2, float, C>;
  std::vector<C> sum(static_cast<std::size_t>(members.front()->count), C(Wide(0)));
  for (const NcclOp* m : members) {
    const C* in = static_cast<const C*>(m->in);
    for (C& s : sum) s = C(static_cast<Wide>(s) + static_cast<Wide>(*in++));
  }
  return sum;
}

template <class C>
void Collect(const std::vector<const NcclOp*>& members) {
  const NcclOp& one = *members.front();
  const Index n = static_cast<Index>(members.size()),
              part = one.kind == NcclKind::kAllReduce ? one.count : one.count / n;
  std::vector<C> whole;
  if (one.kind == NcclKind::kAllGather) {
    for (const NcclOp* m : members)
      whole.insert(whole.end(), static_cast<const C*>(m->in), static_cast<const C*>(m->in) + part);
  } else {
    whole = Summed<C>(members);
  }
  for (Index i = 0; i < n; ++i) {
    const NcclOp& m = *members[static_cast<std::size_t>(i)];
    const bool scatters = m.kind == NcclKind::kReduceScatter;
    std::copy_n(whole.begin() + (scatters ? i * part : 0), scatters ? part : one.count, static_cast<C*>(m.out));
  }
}

/// Whether another stream of the rank is in the middle of something at an instant.
bool IsBeside(const RecordedRank& rank, const RecordedStream& stream, double instant) {
  for (const auto& [key, other] : rank.streams)
    if (other.get() != &stream && other->busy_from <= instant && instant < other->free_at) return true;
  return false;
}

}  // namespace

void Merge(VectorClock& into, const VectorClock& from) {
  if (into.size() < from.size()) into.resize(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

std::string NcclOp::Text() const {
  const std::string kept = format == Format::kFloat ? "" : std::string(" ") + NameOf(format);
  const std::string of = " of " + std::to_string(count) + kept + " over " + comm->name;
  const auto peer_rank = [this] { return std::to_string(comm->ranks[static_cast<std::size_t>(peer)]); };
  switch (kind) {
    case NcclKind::kSend:
      return "send" + of + " to rank " + peer_rank();
    case NcclKind::kReceive:
      return "receive" + of + " from rank " + peer_rank();
    case NcclKind::kAllReduce:
      return "all-reduce" + of;
    case NcclKind::kReduceScatter:
      return "reduce-scatter" + of;
    case NcclKind::kAllGather:
      break;
  }
  return "all-gather" + of;
}

void RecorderState::Count(const RecordedRank& rank, const char* call) {
  if (++calls != fail_at) return;
  failed = call;
  throw Error(RankText(rank.rank) + ", " + call, "was told to fail", "this is a rehearsal");
}

RecordedStream& RecorderState::StreamAt(RecordedRank& rank, Stream stream) const {
  const auto it = rank.streams.find(reinterpret_cast<RecordedStream*>(stream));
  if (it == rank.streams.end()) throw Error(RankText(rank.rank), "uses a stream that is gone", "make it first");
  return *it->second;
}

void RecorderState::Enqueue(RecordedRank& rank, Stream on, Item item, std::span<const Access> accesses) {
  RecordedStream& stream = StreamAt(rank, on);
  Merge(stream.clock, rank.host);
  if (item.waits) Merge(stream.clock, item.waits->clock);
  if (stream.clock.size() <= stream.index) stream.clock.resize(stream.index + 1);
  ++stream.clock[stream.index];
  for (const Access& a : accesses) {
    CheckAccess(rank, stream, item.name, a);
    item.bytes += static_cast<double>(a.bytes);
  }
  if (item.records) item.records->clock = stream.clock;
  item.not_before = rank.host_at;
  stream.items.push_back(std::move(item));
}

void RecorderState::Enqueue(RecordedRank& rank, const std::shared_ptr<NcclGroup>& group) {
  group->number = rank.groups_launched++;
  std::vector<Access> accesses;
  std::string name;
  std::set<int> sent, received;
  for (const NcclOp& op : group->ops) {
    name += (name.empty() ? "" : ", ") + op.Text();
    launched[MeetingOf(op)][op.comm->ranks[static_cast<std::size_t>(op.comm->index)]] = {group, &op};
    const std::size_t bytes = op.Bytes();
    const auto n = static_cast<std::size_t>(op.comm->Size());
    const bool cut_in = op.kind == NcclKind::kAllGather, cut_out = op.kind == NcclKind::kReduceScatter;
    if (op.in != nullptr) accesses.push_back({op.in, cut_in ? bytes / n : bytes, false});
    if (op.out != nullptr) accesses.push_back({op.out, cut_out ? bytes / n : bytes, true});
    if (op.kind == NcclKind::kSend) sent.insert(op.peer);
    if (op.kind == NcclKind::kReceive) received.insert(op.peer);
    counts.messages += op.kind == NcclKind::kSend;
    counts.collectives += !IsMessage(op);
  }
  ++counts.groups;
  for (const int peer : sent) counts.paired += received.count(peer);
  RecordedStream* stream = nullptr;
  for (auto& [key, s] : rank.streams)
    if (s->index == group->stream) stream = key;
  Enqueue(rank, reinterpret_cast<Stream>(stream),
          {.name = name, .work = {}, .records = {}, .waits = {}, .group = group}, accesses);
}

/// Memory must exist, and be ordered behind whoever used it in a way that excludes this use.
void RecorderState::CheckAccess(RecordedRank& rank, const RecordedStream& stream, const std::string& name,
                                const Access& access) {
  const char *begin = static_cast<const char*>(access.data), *end = begin + access.bytes;
  auto it = rank.memory.upper_bound(begin);
  const std::string who = RankText(rank.rank) + ": " + name;
  if (it == rank.memory.begin() || end > (--it)->first + it->second.bytes) {
    if (access.bytes == 0) return;
    throw Error(who, "touches " + std::to_string(access.bytes) + " bytes that are not allocated",
                "allocate them first");
  }
  std::vector<Touch>& touches = it->second.touches;
  const auto overlaps = [&](const Touch& t) { return t.begin < end && begin < t.end; };
  const auto is_before = [&](const Touch& t) {
    return t.stream == stream.index || (t.stream < stream.clock.size() && stream.clock[t.stream] >= t.number);
  };
  for (const Touch& t : touches) {
    if (!overlaps(t) || !(t.writes || access.writes) || is_before(t)) continue;
    throw Error(who,
                std::string(access.writes ? "writes" : "reads") + " memory that " + t.name + " " +
                    (t.writes ? "writes" : "reads") + " on another stream, without a wait between them",
                "let its stream wait for an event behind the other");
  }
  const auto is_covered = [&](const Touch& t) {
    return t.begin >= begin && t.end <= end && is_before(t) &&
           (access.writes || (!t.writes && t.stream == stream.index));
  };
  touches.erase(std::remove_if(touches.begin(), touches.end(), is_covered), touches.end());
  touches.push_back({begin, end, access.writes, stream.index, stream.clock[stream.index], name});
}

// ---- carrying out -------------------------------------------------------------------------------------------------

void RecorderState::RunUntil(const EventMark& mark) {
  while (!mark.done) {
    std::vector<std::pair<RecordedRank*, RecordedStream*>> all;
    for (RecordedRank& rank : ranks)
      for (auto& [key, stream] : rank.streams)
        if (!stream->items.empty()) all.push_back({&rank, stream.get()});
    std::shuffle(all.begin(), all.end(), random);
    if (options.seconds) {
      const auto start = [](const RecordedStream& s) { return std::max(s.free_at, s.items.front().not_before); };
      std::stable_sort(all.begin(), all.end(),
                       [&](const auto& a, const auto& b) { return start(*a.second) < start(*b.second); });
    }
    bool moved = false;
    for (auto& [rank, stream] : all) {
      std::uint64_t luck = options.seconds ? 0 : random() % 16;
      while (!stream->items.empty() && Step(*rank, *stream)) {
        moved = true;
        if (luck-- == 0) break;
      }
      if (moved && options.seconds) break;  // another may be the earliest now
    }
    if (!moved) Stuck();
  }
}

/// Carries out what is first on a stream. Returns whether it could.
bool RecorderState::Step(RecordedRank& rank, RecordedStream& stream) {
  Item& item = stream.items.front();
  if (item.group) return item.group->number == rank.groups_done && TryGroup(item.group);
  if (item.waits && !item.waits->done) return false;
  if (item.work && (options.computes || item.moves)) item.work();
  if (options.seconds) Take(rank, stream, item);
  ++instant;
  if (item.records) {
    item.records->done = true;
    item.records->instant = instant;
    item.records->at = stream.free_at;
  }
  stream.items.pop_front();
  return true;
}

/// The time of what is first on a stream.
void RecorderState::Take(const RecordedRank& rank, RecordedStream& stream, const Item& item) {
  stream.free_at = std::max(stream.free_at, item.not_before);
  if (item.waits) stream.free_at = std::max(stream.free_at, item.waits->at);
  if (!item.work) return;
  stream.busy_from = stream.free_at;
  stream.free_at += options.seconds({.name = item.name,
                                     .product = item.product.get(),
                                     .bytes = item.bytes,
                                     .is_beside = IsBeside(rank, stream, stream.busy_from)});
}

/// The time of groups that go together: all end at once.
void RecorderState::Take(const std::set<const NcclGroup*>& groups,
                         const std::vector<std::pair<RecordedRank*, RecordedStream*>>& streams) {
  double start = 0, longest = 0;
  for (const auto& [rank, stream] : streams)
    start = std::max({start, stream->free_at, stream->items.front().not_before});
  bool is_beside = false;
  for (const auto& [rank, stream] : streams) is_beside = is_beside || IsBeside(*rank, *stream, start);
  for (const NcclGroup* group : groups) {
    double seconds = 0;
    for (const NcclOp& op : group->ops) {
      seconds += options.seconds({.name = op.Text(),
                                  .bytes = static_cast<double>(op.Bytes()),
                                  .ranks = IsMessage(op) ? 2 : op.comm->Size(),
                                  .communicates = true,
                                  .is_beside = is_beside});
    }
    longest = std::max(longest, seconds);
  }
  for (const auto& [rank, stream] : streams) {
    stream->busy_from = start;
    stream->free_at = start + longest;
  }
}

/// The other ends of an operation that have been launched, its own included for a collective.
std::vector<std::pair<const NcclGroup*, const NcclOp*>> RecorderState::PeersOf(const NcclGroup& group,
                                                                               const NcclOp& op) const {
  std::vector<std::pair<const NcclGroup*, const NcclOp*>> peers;
  const auto it = launched.find(MeetingOf(op));
  if (it == launched.end()) return peers;
  for (const auto& [rank, end] : it->second)
    if (rank != group.rank || !IsMessage(op)) peers.push_back({end.first.get(), end.second});
  return peers;
}

/// A group goes when all that its operations meet are first on their streams and next of their ranks, and so on for
/// the groups that those are in: NCCL carries a group out as a whole.
bool RecorderState::TryGroup(const std::shared_ptr<NcclGroup>& group) {
  std::set<const NcclGroup*> together = {group.get()};
  std::vector<const NcclGroup*> open = {group.get()};
  while (!open.empty()) {
    const NcclGroup& g = *open.back();
    open.pop_back();
    for (const NcclOp& op : g.ops) {
      const auto peers = PeersOf(g, op);
      if (peers.size() != (IsMessage(op) ? 1u : op.comm->ranks.size())) return false;
      for (const auto& [peer, other] : peers) {
        if (other->count != op.count || other->format != op.format || (!IsMessage(op) && other->kind != op.kind))
          throw Error(RankText(g.rank) + ": " + op.Text(),
                      "meets " + other->Text() + " of rank " + std::to_string(peer->rank), "let both ends agree");
        if (together.insert(peer).second) open.push_back(peer);
      }
    }
  }
  std::vector<std::pair<RecordedRank*, RecordedStream*>> streams;
  for (RecordedRank& rank : ranks) {
    for (const NcclGroup* g : together) {
      if (g->rank != rank.rank) continue;
      if (g->number != rank.groups_done) return false;
      for (auto& [key, stream] : rank.streams) {
        if (stream->index != g->stream) continue;
        if (stream->items.empty() || stream->items.front().group.get() != g) return false;
        streams.push_back({&rank, stream.get()});
      }
    }
  }
  if (streams.size() != together.size()) return false;  // after an error a stream is gone, and its peers wait in vain
  std::vector<std::tuple<std::string, int, int, std::uint64_t>> met;
  for (const NcclGroup* g : together)
    for (const NcclOp& op : g->ops) {
      CarryOut(*g, op);
      met.push_back(MeetingOf(op));
    }
  for (const auto& meeting : met) launched.erase(meeting);
  for (RecordedRank& rank : ranks)
    for (const NcclGroup* g : together) rank.groups_done += g->rank == rank.rank;
  if (options.seconds) Take(together, streams);
  for (const auto& [rank, stream] : streams) stream->items.pop_front();  // the groups end with it
  ++instant;
  return true;
}

/// Each meeting once: a message by its sender, a collective by its first member.
void RecorderState::CarryOut(const NcclGroup& group, const NcclOp& op) {
  const bool adds = op.kind == NcclKind::kAllReduce || op.kind == NcclKind::kReduceScatter;
  if (adds && !options.computes) return;
  if (op.kind == NcclKind::kReceive || (!IsMessage(op) && op.comm->index != 0)) return;
  const auto peers = PeersOf(group, op);
  if (op.kind == NcclKind::kSend) {
    std::memcpy(peers.front().second->out, op.in, op.Bytes());
    return;
  }
  std::vector<const NcclOp*> members;
  for (const auto& [g, member] : peers) members.push_back(member);  // in the order of ranks
  if (op.format == Format::kDouble) return Collect<double>(members);
  WithFormat(op.format, [&](auto number) { Collect<decltype(number)>(members); });
}

/// Nothing can move: says what stands first on every rank.
void RecorderState::Stuck() const {
  std::string who;
  for (const RecordedRank& rank : ranks) {
    for (const auto& [key, stream] : rank.streams) {
      if (stream->items.empty() || !stream->items.front().group) continue;
      const NcclGroup& g = *stream->items.front().group;
      who += (who.empty() ? "" : "; ") + RankText(rank.rank) + " has " + stream->items.front().name +
             (g.number != rank.groups_done ? " behind an earlier group" : "");
    }
  }
  throw Error("NCCL", "nothing can move: " + (who.empty() ? "events are waited for that nobody records" : who),
              "launch in one order on all ranks, and group what crosses");
}

}  // namespace isochrone::executor::cuda
