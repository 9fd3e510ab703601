// What is measured between GPUs of a machine: collectives by size and group, messages, and what products and
// collectives lose beside each other.
#include <algorithm>
#include <cmath>

#include "base/statistics.h"
#include "executor/cuda/gpu_bench.h"

namespace isochrone::executor::cuda {
namespace {

using plan::CollectiveKind;

/// How often a collective repeats in an interval: by its size, so that all ranks repeat it alike.
Index LaunchesOf(double bytes) {
  constexpr double kInterval = 32 << 20;
  return std::clamp<Index>(static_cast<Index>(kInterval / bytes), 1, 20);
}

constexpr Index kCounted = 20, kMost = 400;  // launches of what ends first; of what lasts longer

}  // namespace

/// All that an overlap's rounds share: the work, seconds of one product and one all-reduce alone, the same on all
/// ranks, and the factors.
struct RankBench::Overlap {
  const Comm* comm = nullptr;
  std::function<void(Stream, Index)> products, reductions;  // so many launches
  DeviceMemory::Handle reduced;
  double product = 0, reduction = 0;
  std::vector<double> compute, communication;
};

/// Ranks outside a group have as many empty rounds, so that all ranks keep pace.
void RankBench::AddCollectives() {
  if (!request_.groups.empty()) Fill(Format::kFloat, false);
  for (const int group : request_.groups) {
    if (group > world_) continue;
    Comm outside;
    for (int r = 0; r < group; ++r) outside.ranks.push_back(r);
    const std::size_t first = rounds_.size();
    if (rank_ >= group) {
      AddGroup(outside);
      for (std::size_t i = first; i < rounds_.size(); ++i) rounds_[i] = {[] {}, [] {}};
      continue;
    }
    comms_.push_back(std::make_unique<HeldComm>(calls_));
    comms_.back()->Make("the first " + std::to_string(group), outside.ranks, rank_);
    AddGroup(**comms_.back());
  }
}

void RankBench::AddGroup(const Comm& comm) {
  const int group = comm.Size();
  for (const CollectiveKind kind : {CollectiveKind::kAllReduce, CollectiveKind::kAllGather,
                                    CollectiveKind::kReduceScatter, CollectiveKind::kAllToAll}) {
    for (const double bytes : request_.message_bytes)
      AddCollective(comm, {.kind = kind, .group = group, .bytes = bytes});
  }
  for (const double bytes : request_.message_bytes) {
    if (group == 2) AddCollective(comm, {.is_message = true, .group = 2, .bytes = bytes});
  }
  if (request_.overlap_bytes > 0 && !request_.products.empty()) AddOverlap(comm, request_.formats.back());
}

/// Counts are of floats, a multiple of the group; an all-to-all is a send to and a receive from every peer.
void RankBench::AddCollective(const Comm& comm, CollectiveTiming timing) {
  const int group = comm.Size();
  const Index part = std::max<Index>(1, static_cast<Index>(timing.bytes / sizeof(float)) / group), count = part * group;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  timing.bytes = static_cast<double>(bytes);
  NeedOperands(2 * bytes);
  const auto launch = [=, this, &comm](Stream stream, Index i) {
    float *in = reinterpret_cast<float*>(Operands(2 * bytes, i)), *out = in + count;
    if (timing.is_message) {
      if (comm.index == 0) return calls_.Send(comm, in, count, Format::kFloat, 1, stream);
      return calls_.Receive(comm, out, count, Format::kFloat, 0, stream);
    }
    switch (timing.kind) {
      case CollectiveKind::kAllGather:
        return calls_.AllGather(comm, in, out, count, Format::kFloat, stream);
      case CollectiveKind::kReduceScatter:
        return calls_.ReduceScatter(comm, in, out, count, Format::kFloat, stream);
      case CollectiveKind::kAllToAll: {
        HeldGroup together(calls_);
        for (int peer = 0; peer < group; ++peer) {
          if (peer == comm.index) continue;
          calls_.Send(comm, in + peer * part, part, Format::kFloat, peer, stream);
          calls_.Receive(comm, out + peer * part, part, Format::kFloat, peer, stream);
        }
        return together.End();
      }
      default:
        return calls_.AllReduce(comm, in, out, count, Format::kFloat, stream);
    }
  };
  AddProbe({.name = "collectives",
            .launch = launch,
            .note =
                [=, this](double seconds, double spread) mutable {
                  timing.seconds = seconds, timing.spread = spread;
                  timings_.collectives.push_back(timing);
                },
            .launches = LaunchesOf(timing.bytes),
            .communicates = true,
            .tells_state = !timing.is_message && timing.kind == CollectiveKind::kAllReduce &&
                           timing.bytes > 0.9 * request_.message_bytes.back()});
}

void RankBench::AddOverlap(const Comm& comm, plan::Dtype dtype) {
  const std::shared_ptr<Overlap> overlap = OverlapOf(comm, dtype);
  rounds_.push_back({[=, this] {
                       calls_.Zero(overlap->reduced->As<void>(), overlap->reduced->Bytes(), communication_);
                       busy_.push_back(communication_);
                     },
                     [] {}});
  AddAlone(overlap, false);
  AddAlone(overlap, true);
  AddMeans(overlap);
  for (int turn = 0; turn < 3; ++turn) {
    for (const bool reduces_longer : {true, false}) AddBeside(overlap, reduces_longer);
  }
  rounds_.push_back({[] {},
                     [=, this] {
                       timings_.overlaps.push_back({.group = overlap->comm->Size(),
                                                    .bytes = static_cast<double>(overlap->reduced->Bytes()),
                                                    .compute = std::max(1.0, Median(overlap->compute)),
                                                    .communication = std::max(1.0, Median(overlap->communication))});
                     }});
}

/// The largest product, in the front of the arena, and all-reduces of memory of their own.
std::shared_ptr<RankBench::Overlap> RankBench::OverlapOf(const Comm& comm, plan::Dtype dtype) {
  auto overlap = std::make_shared<Overlap>();
  overlap->comm = &comm;
  BenchRequest::Product product = request_.products.front();
  for (const BenchRequest::Product& p : request_.products)
    if (p.batch == 1 && p.m * p.n * p.k > product.m * product.n * product.k) product = p;
  const Index count = static_cast<Index>(request_.overlap_bytes / sizeof(float)) / comm.Size() * comm.Size();
  overlap->reduced = memory_.Allocate(plan::BufferKind::kWorkspace, static_cast<std::size_t>(count) * sizeof(float),
                                      "an all-reduce beside products");
  overlap->products = [=, this](Stream stream, Index n) {
    for (Index i = 0; i < n; ++i) LaunchProduct(product, dtype, stream, i);
  };
  float* data = overlap->reduced->As<float>();
  overlap->reductions = [=, this, &comm](Stream stream, Index n) {
    for (Index i = 0; i < n; ++i) calls_.AllReduce(comm, data, data, count, Format::kFloat, stream);
  };
  return overlap;
}

/// One launch of either work, while the other stream is idle.
void RankBench::AddAlone(const std::shared_ptr<Overlap>& overlap, bool reduces) {
  const Stream stream = reduces ? communication_ : compute_;
  rounds_.push_back(
      {[=, this] {
         const auto& work = reduces ? overlap->reductions : overlap->products;
         work(stream, request_.warmups);
         RecordAt(0, stream);
         work(stream, kCounted);
         RecordAt(1, stream);
       },
       [=, this] { (reduces ? overlap->reduction : overlap->product) = std::max(1e-9, Between(0, 1) / kCounted); }});
}

/// The means over all ranks, so that all launch alike.
void RankBench::AddMeans(const std::shared_ptr<Overlap>& overlap) {
  const std::size_t ranks = static_cast<std::size_t>(overlap->comm->Size()), mine = 2 * sizeof(double);
  const auto times = memory_.Allocate(plan::BufferKind::kWorkspace, ranks * mine, "times of all ranks");
  rounds_.push_back({[=, this] {
                       const Comm& comm = *overlap->comm;
                       host_.As<double>()[0] = overlap->product;
                       host_.As<double>()[1] = overlap->reduction;
                       char *all = times->As<char>(), *own = all + static_cast<std::size_t>(comm.index) * mine;
                       calls_.Copy(own, host_.As<void>(), mine, communication_);
                       calls_.AllGather(comm, own, all, 2 * comm.Size(), Format::kDouble, communication_);
                       calls_.Copy(host_.As<void>(), all, ranks * mine, communication_);
                       busy_.push_back(communication_);
                     },
                     [=, this] {
                       overlap->product = overlap->reduction = 0;
                       for (std::size_t r = 0; r < ranks; ++r) {
                         overlap->product += host_.As<double>()[2 * r] / static_cast<double>(ranks);
                         overlap->reduction += host_.As<double>()[2 * r + 1] / static_cast<double>(ranks);
                       }
                     }});
}

/// One work timed while the other lasts longer.
void RankBench::AddBeside(const std::shared_ptr<Overlap>& overlap, bool reduces_longer) {
  constexpr double kLonger = 1.5;
  const auto alone = [=] { return kCounted * (reduces_longer ? overlap->product : overlap->reduction); };
  rounds_.push_back(
      {[=, this] {
         const double each = reduces_longer ? overlap->reduction : overlap->product;
         const auto n = static_cast<Index>(std::ceil(kLonger * alone() / each));
         const auto& longer = reduces_longer ? overlap->reductions : overlap->products;
         const auto& shorter = reduces_longer ? overlap->products : overlap->reductions;
         const Stream first = reduces_longer ? communication_ : compute_;
         const Stream second = reduces_longer ? compute_ : communication_;
         longer(first, std::clamp<Index>(n, 1, kMost));  // first, so that the other is never alone
         RecordAt(0, second);
         shorter(second, kCounted);
         RecordAt(1, second);
         busy_.push_back(first);
       },
       [=, this] { (reduces_longer ? overlap->compute : overlap->communication).push_back(Between(0, 1) / alone()); }});
}

}  // namespace isochrone::executor::cuda
