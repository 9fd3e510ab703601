#include "executor/cuda/recorder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "executor/cuda/recorded_product.h"
#include "executor/cuda/recorder_state.h"

namespace isochrone::executor::cuda {
namespace {

class RecordedCalls final : public Calls {
 public:
  RecordedCalls(RecorderState& state, RecordedRank& rank) : state_(state), rank_(rank) {}

  DeviceInfo Describe() override { return state_.options.device; }
  DeviceState State() override { return state_.options.state ? state_.options.state() : DeviceState(); }

  void* Malloc(std::size_t bytes) override { return Allocate(bytes, false, "cudaMalloc"); }
  void Free(void* data) override { Release(data, false); }
  void* MallocHost(std::size_t bytes) override { return Allocate(bytes, true, "cudaMallocHost"); }
  void FreeHost(void* data) override { Release(data, true); }

  void Copy(void* to, const void* from, std::size_t bytes, Stream stream) override {
    state_.Count(rank_, "cudaMemcpyAsync");
    ++state_.counts.copies;
    const Access accesses[] = {{from, bytes, false}, {to, bytes, true}};
    state_.Enqueue(rank_, stream,
                   Work(
                       "copy", [=] { std::memcpy(to, from, bytes); }, true),
                   accesses);
  }
  void CopyRows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t row_bytes,
                Index rows, Stream stream) override {
    state_.Count(rank_, "cudaMemcpy2DAsync");
    if (row_bytes > to_pitch || row_bytes > from_pitch)
      throw Error(Where() + ": copy", "rows of " + std::to_string(row_bytes) + " bytes reach into the next",
                  "let a pitch hold its row");
    ++state_.counts.copies;
    const auto n = static_cast<std::size_t>(rows);
    const auto reach = [&](std::size_t pitch) { return n == 0 ? 0 : (n - 1) * pitch + row_bytes; };
    const Access accesses[] = {{from, reach(from_pitch), false}, {to, reach(to_pitch), true}};
    const auto copy = [=] {
      for (std::size_t r = 0; r < n; ++r)
        std::memcpy(static_cast<char*>(to) + r * to_pitch, static_cast<const char*>(from) + r * from_pitch, row_bytes);
    };
    state_.Enqueue(rank_, stream, Work("copy", copy, true), accesses);
  }
  void Zero(void* to, std::size_t bytes, Stream stream) override {
    state_.Count(rank_, "cudaMemsetAsync");
    const Access access{to, bytes, true};
    state_.Enqueue(rank_, stream,
                   Work(
                       "zero", [=] { std::memset(to, 0, bytes); }, true),
                   {&access, 1});
  }

  Stream NewStream(bool) override {
    state_.Count(rank_, "cudaStreamCreate");
    auto stream = std::make_unique<RecordedStream>();
    stream->index = rank_.streams_made++;
    RecordedStream* key = stream.get();
    rank_.streams[key] = std::move(stream);
    return reinterpret_cast<Stream>(key);
  }
  void DestroyStream(Stream stream) override { rank_.streams.erase(reinterpret_cast<RecordedStream*>(stream)); }

  Event NewEvent() override {
    state_.Count(rank_, "cudaEventCreate");
    auto event = std::make_unique<RecordedEvent>();
    RecordedEvent* key = event.get();
    rank_.events[key] = std::move(event);
    return reinterpret_cast<Event>(key);
  }
  void DestroyEvent(Event event) override { rank_.events.erase(reinterpret_cast<RecordedEvent*>(event)); }

  void Record(Event event, Stream stream) override {
    state_.Count(rank_, "cudaEventRecord");
    RecordedEvent& e = EventAt(event);
    e.last = std::make_shared<EventMark>();
    state_.Enqueue(rank_, stream, {.name = "event", .work = {}, .records = e.last, .waits = {}, .group = {}}, {});
  }
  void Wait(Stream stream, Event event) override {
    state_.Count(rank_, "cudaStreamWaitEvent");
    ++state_.counts.waits;
    state_.Enqueue(rank_, stream, {.name = "wait", .work = {}, .records = {}, .waits = MarkOf(event), .group = {}}, {});
  }
  void Synchronize(Event event) override {
    state_.Count(rank_, "cudaEventSynchronize");
    const std::shared_ptr<EventMark> mark = MarkOf(event);
    state_.RunUntil(*mark);
    Merge(rank_.host, mark->clock);
    rank_.host_at = std::max(rank_.host_at, mark->at);
  }
  double Seconds(Event from, Event to) override {
    const std::shared_ptr<EventMark> a = MarkOf(from), b = MarkOf(to);
    if (!a->done || !b->done) throw Error(Where(), "reads the time of an event that was not waited for", "synchronise");
    if (state_.options.seconds) return b->at - a->at;
    return 1e-6 * (static_cast<double>(b->instant) - static_cast<double>(a->instant));
  }

  void Run(const std::string& name, Stream stream, std::span<const Access> accesses,
           std::function<void(Stream)> launch) override {
    state_.Count(rank_, "a kernel's launch");
    ++state_.counts.kernels;
    state_.Enqueue(rank_, stream, Work(name, [launch = std::move(launch)] { launch(nullptr); }), accesses);
  }
  void Multiply(const std::string& name, const Matmul& m, std::span<const Access> accesses, Stream stream) override {
    state_.Count(rank_, "cublasLtMatmul");
    ++state_.counts.products;
    Item item = Work(name, [m] { MultiplyOnHost(m); });
    item.product = std::make_shared<const Matmul>(m);
    state_.Enqueue(rank_, stream, std::move(item), accesses);
  }

  std::unique_ptr<Comm> NewComm(const std::string& name, const std::vector<int>& ranks, int rank) override {
    state_.Count(rank_, "ncclCommInitRank");
    auto comm = std::make_unique<Comm>();
    comm->name = name;
    comm->ranks = ranks;
    while (comm->ranks[static_cast<std::size_t>(comm->index)] != rank) ++comm->index;
    ++rank_.comms;
    comm->handle = &rank_.all_comms.emplace_back(*comm);
    return comm;
  }
  void DestroyComm(Comm&) override { --rank_.comms; }
  void GroupStart() override {
    state_.Count(rank_, "ncclGroupStart");
    ++rank_.depth;
  }
  void GroupEnd() override {
    if (--rank_.depth < 0) throw Error(Where(), "ends an NCCL group that was not begun", "begin it");
    if (rank_.depth == 0) Close();
    state_.Count(rank_, "ncclGroupEnd");
  }
  void Send(const Comm& comm, const void* data, Index count, Format format, int to, Stream stream) override {
    Add({.kind = NcclKind::kSend, .comm = &comm, .in = data, .count = count, .peer = to, .format = format}, stream);
  }
  void Receive(const Comm& comm, void* data, Index count, Format format, int from, Stream stream) override {
    Add({.kind = NcclKind::kReceive, .comm = &comm, .out = data, .count = count, .peer = from, .format = format},
        stream);
  }
  void AllReduce(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    AddCollective(NcclKind::kAllReduce, comm, in, out, count, format, stream);
  }
  void ReduceScatter(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    AddCollective(NcclKind::kReduceScatter, comm, in, out, count, format, stream);
  }
  void AllGather(const Comm& comm, const void* in, void* out, Index count, Format format, Stream stream) override {
    AddCollective(NcclKind::kAllGather, comm, in, out, count, format, stream);
  }
  void CheckComm(const Comm&) override { state_.Count(rank_, "ncclCommGetAsyncError"); }

 private:
  std::string Where() const { return "rank " + std::to_string(rank_.rank); }
  static Item Work(const std::string& name, std::function<void()> work, bool moves = false) {
    return {.name = name, .work = std::move(work), .records = {}, .waits = {}, .group = {}, .moves = moves};
  }

  void* Allocate(std::size_t bytes, bool on_host, const char* call) {
    state_.Count(rank_, call);
    Allocation a{.data = std::vector<char>(bytes + 1), .bytes = bytes, .on_host = on_host, .touches = {}};
    char* at = a.data.data();
    rank_.memory.emplace(at, std::move(a));
    return at;
  }
  void Release(void* data, bool on_host) {
    const auto it = rank_.memory.find(static_cast<const char*>(data));
    if (it == rank_.memory.end() || it->second.on_host != on_host)
      throw Error(Where(), "frees memory that is not allocated", "free what was allocated, once");
    rank_.memory.erase(it);
  }

  RecordedEvent& EventAt(Event event) const {
    const auto it = rank_.events.find(reinterpret_cast<RecordedEvent*>(event));
    if (it == rank_.events.end()) throw Error(Where(), "uses an event that is gone", "make it first");
    return *it->second;
  }
  std::shared_ptr<EventMark> MarkOf(Event event) const {
    const RecordedEvent& e = EventAt(event);
    if (!e.last) throw Error(Where(), "waits for an event that was never recorded", "record it first");
    return e.last;
  }

  void AddCollective(NcclKind kind, const Comm& comm, const void* in, void* out, Index count, Format format,
                     Stream stream) {
    Add({.kind = kind, .comm = &comm, .in = in, .out = out, .count = count, .format = format}, stream);
  }
  void Add(NcclOp op, Stream stream) {
    state_.Count(rank_, "an NCCL operation");
    op.comm = static_cast<const Comm*>(op.comm->handle);
    const int me = op.comm->index;
    const bool sends = op.kind == NcclKind::kSend, receives = op.kind == NcclKind::kReceive;
    op.number = rank_.numbers[{op.comm->name,
                               sends      ? me
                               : receives ? op.peer
                                          : -1,
                               sends      ? op.peer
                               : receives ? me
                                          : -1}]++;
    const std::size_t index = state_.StreamAt(rank_, stream).index;
    if (!rank_.open) {
      rank_.open = std::make_shared<NcclGroup>();
      rank_.open->rank = rank_.rank;
      rank_.open->stream = index;
    }
    if (rank_.open->stream != index) throw Error(Where(), "groups NCCL operations of two streams", "use one");
    rank_.open->ops.push_back(op);
    if (rank_.depth == 0) Close();
  }
  void Close() {
    if (rank_.open) state_.Enqueue(rank_, std::exchange(rank_.open, nullptr));
  }

  RecorderState& state_;
  RecordedRank& rank_;
};

}  // namespace

Recorder::Recorder(const Options& options) : state_(std::make_unique<RecorderState>(options)) {}
Recorder::~Recorder() = default;

std::unique_ptr<Calls> Recorder::Join(int rank) {
  state_->ranks.emplace_back().rank = rank;
  return std::make_unique<RecordedCalls>(*state_, state_->ranks.back());
}

void Recorder::FailAt(std::size_t call) { state_->fail_at = call == 0 ? 0 : state_->calls + call; }
std::size_t Recorder::CallsMade() const { return state_->calls; }
const std::string& Recorder::FailedCall() const { return state_->failed; }
const Recorder::Counts& Recorder::Counted() const { return state_->counts; }

void Recorder::CheckNothingLeft() const {
  for (const RecordedRank& r : state_->ranks) {
    const auto left = [&](std::size_t n, const char* what) {
      if (n > 0)
        throw Error("rank " + std::to_string(r.rank), "leaves " + std::to_string(n) + " " + what + " behind",
                    "give it back");
    };
    left(r.memory.size(), "blocks of memory");
    left(r.streams.size(), "streams");
    left(r.events.size(), "events");
    left(r.comms, "communicators");
    left(static_cast<std::size_t>(r.depth), "open groups");
  }
}

}  // namespace isochrone::executor::cuda
