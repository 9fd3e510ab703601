#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/bench_request.h"
#include "executor/cuda/device_memory.h"
#include "executor/cuda/gpu_timings.h"
#include "executor/cuda/held.h"
#include "executor/cuda/queues.h"

namespace isochrone::executor::cuda {

/// One rank's part in measuring the GPUs of a machine. All ranks measure the same list at the same pace; those of a
/// group meet in its collectives.
///
/// A kernel is timed by events on its stream: `warmups` launches, one that is timed alone to see how many fill an
/// interval, then `repeats` intervals between consecutive events; the median interval over its launches counts.
/// Consecutive launches take operands from other places of an arena of random numbers, so that the L2 cache holds none
/// of them (products of zeros need less power and run faster). Collectives repeat by their size, alike on all ranks.
///
///   overlap     products alone, all-reduces alone, both with the all-reduces lasting longer, both with the products
///               lasting longer; what ends first was beside the other throughout, so that its time over its time alone
///               is its factor
class RankBench {
 public:
  RankBench(Calls& calls, int rank, int world, BenchRequest request);
  ~RankBench();
  RankBench(const RankBench&) = delete;
  RankBench& operator=(const RankBench&) = delete;

  /// Launches the next round of measurements without waiting for it. False: nothing is left.
  bool Launch();
  /// Waits for it, and notes what it says. Throws Error where a GPU or a peer does not answer.
  void Collect();
  const GpuTimings& Timings() const { return timings_; }

 private:
  /// Work that is launched, and what to do when it has ended.
  struct Round {
    std::function<void()> launch, collect;
  };
  /// `launch(stream, i)` is the i-th launch of one kernel or collective, `note` takes median and spread of one.
  struct Probe {
    std::string name;
    std::function<void(Stream, Index)> launch;
    std::function<void(double, double)> note;
    Index launches = 0;         // in an interval; 0: as many as the first launch asks for
    bool communicates = false;  // on the stream of communication
    bool tells_state = false;   // of the GPU while it runs
  };

  // gpu_bench.cc: how
  void AddProbe(const Probe& probe);
  void LaunchAlone(const Probe& probe);
  void LaunchIntervals(const Probe& probe, Index launches);
  void Fill(Format format, bool positive);
  void NeedOperands(std::size_t bytes) { largest_ = std::max(largest_, bytes); }
  char* Operands(std::size_t bytes, Index launch) const;
  void RunOn(const std::string& name, Stream stream, const void* operands, std::size_t bytes,
             std::function<void(Stream)> launch);
  void RecordAt(std::size_t event, Stream stream);
  double Between(std::size_t first, std::size_t second) {
    return calls_.Seconds(events_.At(first), events_.At(second));
  }

  // gpu_bench_probes.cc: what
  void AddStreams();
  void AddStream(KernelTiming timing, std::size_t bytes, std::function<void(Stream, char*)> launch,
                 bool is_smallest = false);
  void AddScatter(double bytes);
  void AddProducts(plan::Dtype dtype);
  void AddAttention(const BenchRequest::Attention& attention, bool backward);
  void LaunchProduct(const BenchRequest::Product& product, plan::Dtype dtype, Stream stream, Index i);

  // gpu_bench_links.cc: between GPUs
  void AddCollectives();
  void AddGroup(const Comm& comm);
  void AddCollective(const Comm& comm, CollectiveTiming timing);
  struct Overlap;
  void AddOverlap(const Comm& comm, plan::Dtype dtype);
  std::shared_ptr<Overlap> OverlapOf(const Comm& comm, plan::Dtype dtype);
  void AddAlone(const std::shared_ptr<Overlap>& overlap, bool reduces);
  void AddMeans(const std::shared_ptr<Overlap>& overlap);
  void AddBeside(const std::shared_ptr<Overlap>& overlap, bool reduces_longer);

  Calls& calls_;
  int rank_, world_;
  BenchRequest request_;
  GpuTimings timings_;
  Queues queues_;
  Stream compute_, communication_;
  HeldEvents events_;
  DeviceMemory memory_;
  PinnedMemory host_;
  std::size_t largest_ = 0;     // operands of any probe
  DeviceMemory::Handle arena_;  // where they lie
  std::vector<std::unique_ptr<HeldComm>> comms_;
  std::vector<Round> rounds_;
  std::size_t next_ = 0;
  std::vector<Stream> busy_;  // streams of the round that was launched
};

/// The format of a product's numbers; TF32 is in float.
Format FormatOf(plan::Dtype dtype);

}  // namespace isochrone::executor::cuda
