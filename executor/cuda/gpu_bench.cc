// How a rank times kernels and collectives: rounds that are launched and waited for, intervals between events.
#include "executor/cuda/gpu_bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "base/statistics.h"

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kTile = std::size_t{1} << 20;  // bytes of random numbers, repeated over the arena
constexpr Index kMostLaunches = 200;                 // in one interval
constexpr double kArenaOverL2 = 4;                   // so that operands come from memory
constexpr std::size_t kAlignment = 256;

std::size_t Aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Format FormatOf(plan::Dtype dtype) {
  if (dtype == plan::Dtype::kBf16) return Format::kBf16;
  if (dtype == plan::Dtype::kFp16) return Format::kFp16;
  return Format::kFloat;
}

RankBench::RankBench(Calls& calls, int rank, int world, BenchRequest request)
    : calls_(calls),
      rank_(rank),
      world_(world),
      request_(std::move(request)),
      queues_(calls),
      compute_(queues_.StreamOf(plan::Stream::kCompute)),
      communication_(queues_.StreamOf(plan::Stream::kTensor)),
      events_(calls),
      memory_(calls, 0),
      host_(calls, kTile) {
  ISO_CHECK(request_.repeats > 0 && request_.warmups >= 0);
  timings_.device = calls.Describe();
  timings_.gpus = world;
  AddStreams();
  for (const plan::Dtype dtype : request_.formats) AddProducts(dtype);
  for (const BenchRequest::Attention& attention : request_.attention)
    for (const bool backward : {false, true}) AddAttention(attention, backward);
  if (world > 1) AddCollectives();
  const auto arena = std::max(largest_, static_cast<std::size_t>(kArenaOverL2 * timings_.device.l2_bytes));
  arena_ = memory_.Allocate(plan::BufferKind::kWorkspace, Aligned(arena), "operands");
}

RankBench::~RankBench() {
  try {  // what still runs reads memory that is about to go; after an error there may be nothing to wait for
    for (const Stream stream : busy_) {
      calls_.Record(events_.At(0), stream);
      calls_.Synchronize(events_.At(0));
    }
  } catch (const std::exception&) {
  }
}

bool RankBench::Launch() {
  if (next_ == rounds_.size()) return false;
  rounds_[next_].launch();
  return true;
}

void RankBench::Collect() {
  const Round& round = rounds_[next_++];
  std::sort(busy_.begin(), busy_.end());
  busy_.erase(std::unique(busy_.begin(), busy_.end()), busy_.end());
  std::size_t last = 1000;  // behind those that rounds use
  for (const Stream stream : busy_) calls_.Record(events_.At(last++), stream);
  while (last > 1000) calls_.Synchronize(events_.At(--last));
  busy_.clear();
  round.collect();
}

/// A first round, where the probe does not say how often its kernel fills an interval, then the one that counts.
void RankBench::AddProbe(const Probe& probe) {
  const auto launches = std::make_shared<Index>(probe.launches);
  if (probe.launches == 0) {
    rounds_.push_back({[this, probe] { LaunchAlone(probe); },
                       [this, launches] {
                         const double once = std::max(Between(0, 1), 1e-9);
                         *launches = std::clamp<Index>(std::llround(std::ceil(request_.least_seconds / once)), 1,
                                                       kMostLaunches);
                       }});
  }
  rounds_.push_back({[this, probe, launches] { LaunchIntervals(probe, *launches); },
                     [this, probe, launches] {
                       std::vector<double> seconds;
                       for (std::size_t i = 0; i < static_cast<std::size_t>(request_.repeats); ++i)
                         seconds.push_back(Between(i, i + 1) / static_cast<double>(*launches));
                       probe.note(Median(seconds), Quantile(seconds, 0.75) - Quantile(seconds, 0.25));
                     }});
}

void RankBench::LaunchAlone(const Probe& probe) {
  const Stream stream = probe.communicates ? communication_ : compute_;
  for (Index i = 0; i < request_.warmups; ++i) probe.launch(stream, i);
  RecordAt(0, stream);
  probe.launch(stream, request_.warmups);
  RecordAt(1, stream);
}

void RankBench::LaunchIntervals(const Probe& probe, Index launches) {
  const Stream stream = probe.communicates ? communication_ : compute_;
  Index number = 0;
  for (; number < request_.warmups; ++number) probe.launch(stream, number);
  RecordAt(0, stream);
  for (std::size_t interval = 1; interval <= static_cast<std::size_t>(request_.repeats); ++interval) {
    for (Index i = 0; i < launches; ++i) probe.launch(stream, number++);
    RecordAt(interval, stream);
  }
  if (probe.tells_state) timings_.states.emplace_back(probe.name, calls_.State());
}

void RankBench::RecordAt(std::size_t event, Stream stream) {
  calls_.Record(events_.At(event), stream);
  busy_.push_back(stream);
}

/// Random numbers all over the arena: between -1 and 1, or between 0.5 and 1.5.
void RankBench::Fill(Format format, bool positive) {
  rounds_.push_back({[this, format, positive] {
                       std::mt19937 random(1);
                       std::uniform_real_distribution<float> number(positive ? 0.5f : -1.0f, positive ? 1.5f : 1.0f);
                       WithFormat(format, [&](auto zero) {
                         using T = decltype(zero);
                         std::generate_n(host_.As<T>(), kTile / sizeof(T), [&] { return T(number(random)); });
                       });
                       char* arena = arena_->As<char>();
                       std::size_t filled = std::min(kTile, arena_->Bytes());
                       calls_.Copy(arena, host_.As<void>(), filled, compute_);
                       while (filled < arena_->Bytes()) {
                         const std::size_t more = std::min(filled, arena_->Bytes() - filled);
                         calls_.Copy(arena + filled, arena, more, compute_);
                         filled += more;
                       }
                       busy_.push_back(compute_);
                     },
                     [] {}});
}

/// Where the operands of a launch lie: consecutive launches go through the arena.
char* RankBench::Operands(std::size_t bytes, Index launch) const {
  const std::size_t one = Aligned(bytes), places = std::max<std::size_t>(1, arena_->Bytes() / one);
  return arena_->As<char>() + static_cast<std::size_t>(launch) % places * one;
}

void RankBench::RunOn(const std::string& name, Stream stream, const void* operands, std::size_t bytes,
                      std::function<void(Stream)> launch) {
  const Access access{operands, bytes, true};
  calls_.Run(name, stream, {&access, 1}, std::move(launch));
}

}  // namespace isochrone::executor::cuda
