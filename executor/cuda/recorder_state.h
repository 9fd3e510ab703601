#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "executor/cuda/recorder.h"

namespace isochrone::executor::cuda {

/// Operations that happened before, by stream of the rank: [stream] -> how many of its operations.
using VectorClock = std::vector<std::uint64_t>;
void Merge(VectorClock& into, const VectorClock& from);

/// One use of a range of an allocation.
struct Touch {
  const char *begin = nullptr, *end = nullptr;
  bool writes = false;
  std::size_t stream = 0;
  std::uint64_t number = 0;  // of the operation, on its stream
  std::string name;
};

/// An event as it was recorded at one time.
struct EventMark {
  bool done = false;
  VectorClock clock;
  std::uint64_t instant = 0;  // when it was done, in units of carried out work
  double at = 0;              // seconds, by Recorder::Options::seconds
};

enum class NcclKind { kSend, kReceive, kAllReduce, kReduceScatter, kAllGather };
struct NcclOp {
  NcclKind kind = NcclKind::kSend;
  const Comm* comm = nullptr;
  const void* in = nullptr;
  void* out = nullptr;
  Index count = 0;
  int peer = -1;             // index in the communicator
  std::uint64_t number = 0;  // of the pair's messages, or of the communicator's collectives, that this rank launched
  Format format = Format::kFloat;
  std::size_t Bytes() const { return static_cast<std::size_t>(count) * SizeOf(format); }
  std::string Text() const;
};
struct NcclGroup {
  int rank = 0;
  std::size_t stream = 0;
  std::uint64_t number = 0;  // among the groups of its rank
  std::vector<NcclOp> ops;
};

/// What waits on a stream: one of the four.
struct Item {
  std::string name;
  std::function<void()> work;
  std::shared_ptr<EventMark> records, waits;
  std::shared_ptr<NcclGroup> group;
  bool moves = false;  // copies and zeros, which are carried out even where nothing is computed
  std::shared_ptr<const Matmul> product = nullptr;
  double bytes = 0;       // that it touches
  double not_before = 0;  // seconds: when the host launched it
};
struct RecordedStream {
  std::size_t index = 0;
  VectorClock clock;
  std::deque<Item> items;
  double free_at = 0, busy_from = 0;  // seconds: where its last work ended, and began
};
struct RecordedEvent {
  std::shared_ptr<EventMark> last;
};
struct Allocation {
  std::vector<char> data;
  std::size_t bytes = 0;
  bool on_host = false;
  std::vector<Touch> touches;
};

struct RecordedRank {
  int rank = 0;
  std::map<const char*, Allocation> memory;  // by address
  std::map<RecordedStream*, std::unique_ptr<RecordedStream>> streams;
  std::map<RecordedEvent*, std::unique_ptr<RecordedEvent>> events;
  std::size_t streams_made = 0, comms = 0;
  std::list<Comm> all_comms;  // copies, which outlive what their owners destroy after an error
  VectorClock host;           // what the host has waited for
  double host_at = 0;         // seconds: until when
  std::shared_ptr<NcclGroup> open;
  int depth = 0;
  std::uint64_t groups_launched = 0, groups_done = 0;
  std::map<std::tuple<std::string, int, int>, std::uint64_t> numbers;  // (communicator, from, to), -1 for collectives
};

class RecorderState {
 public:
  explicit RecorderState(const Recorder::Options& asked) : options(asked), random(asked.seed) {}

  /// Every call but those that give back: the one that is to fail throws Error.
  void Count(const RecordedRank& rank, const char* call);
  void Enqueue(RecordedRank& rank, Stream stream, Item item, std::span<const Access> accesses);
  void Enqueue(RecordedRank& rank, const std::shared_ptr<NcclGroup>& group);
  /// Carries work out until `mark` is done. Throws Error where nothing can move.
  void RunUntil(const EventMark& mark);
  RecordedStream& StreamAt(RecordedRank& rank, Stream stream) const;

  Recorder::Options options;
  Recorder::Counts counts;
  std::size_t calls = 0, fail_at = 0;
  std::string failed;
  std::list<RecordedRank> ranks;

 private:
  void CheckAccess(RecordedRank& rank, const RecordedStream& stream, const std::string& name, const Access& access);
  bool Step(RecordedRank& rank, RecordedStream& stream);
  void Take(const RecordedRank& rank, RecordedStream& stream, const Item& item);
  void Take(const std::set<const NcclGroup*>& groups,
            const std::vector<std::pair<RecordedRank*, RecordedStream*>>& streams);
  bool TryGroup(const std::shared_ptr<NcclGroup>& group);
  std::vector<std::pair<const NcclGroup*, const NcclOp*>> PeersOf(const NcclGroup& group, const NcclOp& op) const;
  void CarryOut(const NcclGroup& group, const NcclOp& op);
  [[noreturn]] void Stuck() const;

  std::mt19937_64 random;
  std::uint64_t instant = 0;
  /// Who launched what: (communicator, from or member, to or -1, number) -> group and op.
  std::map<std::tuple<std::string, int, int, std::uint64_t>,
           std::map<int, std::pair<std::shared_ptr<NcclGroup>, const NcclOp*>>>
      launched;
};

}  // namespace isochrone::executor::cuda
