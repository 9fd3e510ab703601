#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/communication.h"
#include "costmodel/explain.h"
#include "costmodel/framework.h"
#include "costmodel/gemm.h"
#include "costmodel/pass_price.h"
#include "costmodel/profile.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// Gives the data stream of `contention`, unless it was measured, the multiprocessors that buckets of gradients and
/// parameters hold, which all replicas of this layout reduce and gather.
void HoldForBuckets(const plan::Cluster& cluster, const plan::Layout& layout, Contention& contention);

/// Prices ops on one GPU of one cluster under one framework. Its constant members are safe to share
/// among threads.
///
/// A compute op costs max(flops / rate, bytes / bandwidth) + launch with rate and bandwidth curves by shape (gemm.h,
/// attention.h, elementwise.h); a collective is priced by size, group shape and tier (collective.h). Transfers by host
/// or NVMe bandwidth. A framework profile slows rates to the sustained clock and sets the least time of a kernel.
class Costs {
 public:
  Costs(const plan::Cluster& cluster, const plan::Layout& layout, const plan::Strategy& strategy,
        const EfficiencyProfile& profile, const FrameworkProfile& framework);

  Seconds TimeOf(const plan::Op& op) const { return TimeOf(op.kind); }
  Seconds TimeOf(const plan::OpKind& kind) const;
  /// How long each op of a pass holds its stream, given what it takes alone (pipelined.h).
  std::vector<double> HeldSeconds(const std::vector<plan::Op>& ops, std::vector<double> alone) const;
  /// The time of an op alone, term by term; the terms add up to it.
  std::vector<Term> Explain(const plan::Op& op) const;

  /// Whether the all-to-alls of a pass run beside another microbatch's pass in the other direction.
  bool OverlapsExperts() const { return strategy_.overlap_expert; }
  /// One pipeline message of `bytes` between neighbouring stages, on the dearest hop.
  Seconds MessageTime(Bytes bytes, bool scatter_gather) const {
    return MessageTime(bytes, scatter_gather, communication_.MessagesCrossNodes());
  }
  /// On a hop that leads to another node, or to none.
  Seconds MessageTime(Bytes bytes, bool scatter_gather, bool crosses_nodes) const {
    return communication_.MessageTime(bytes, scatter_gather, crosses_nodes);
  }
  /// What the host adds to a message that compute waits for.
  Seconds HostOfMessage(plan::MessageMode mode) const {
    return mode == plan::MessageMode::kBlocking ? framework_.message : Seconds(0);
  }
  /// What the host adds to every forward pass of a stage: until 2023 Megatron-LM's ranks each broadcast the sizes
  /// of the batch and copied them back, for which the host waits until the GPU is done; then the GPU waits for the
  /// host, until it has made tokens, masks and positions and come to the first kernel. Source  Megatron-LM,
  /// pretrain_gpt.py (get_batch), megatron/core/tensor_parallel/data.py (broadcast_data).
  Seconds HostOfBatch() const { return RunsMegatronLayers(strategy_) ? framework_.batch : Seconds(0); }
  /// Of HostOfBatch.
  Term ExplainBatch() const {
    return {"host", "from the sizes of the batch, copied back, to the first kernel", "", HostOfBatch(),
            framework_.source};
  }
  /// MessageTime on the dearest hop and HostOfMessage, term by term; the terms add up to them.
  std::vector<Term> ExplainMessage(Bytes bytes, bool scatter_gather, plan::MessageMode mode) const;
  /// From here on prices are those of another layout of the same cluster; not while other threads ask.
  void MoveTo(const plan::Layout& layout) {
    layout_ = layout;
    communication_.MoveTo(layout);
    contention_ = MadeContention();
  }
  /// Contention::late of each op of a pass; empty where nothing holds products up.
  std::vector<double> LateShares(const std::vector<plan::Op>& ops) const;
  /// What compute and communication cost each other while both run.
  /// Inside passes, where what the data stream does is the shard group's.
  const Contention& ContentionOf() const { return contention_; }
  /// Beside passes, where it is buckets.
  Contention ContentionOfBuckets() const;
  Source ContentionSource() const;
  /// Fixed host time per step: launch of the step, data loading, logging.
  Seconds HostTimePerStep() const;

 private:
  Contention MadeContention() const;
  /// What the framework makes of an op's time alone.
  double Slowdown(const plan::OpKind& kind, int kernels) const;
  /// Of the kernels that torch_passes.h tells of.
  Seconds TorchTime(const plan::OpKind& kind) const;
  template <class Use>
  auto Price(const plan::OpKind& kind, const Use& use) const;
  const GemmModel& GemmOf(plan::Dtype dtype) const { return gemm_[static_cast<std::size_t>(dtype)]; }

  plan::Cluster cluster_;
  plan::Layout layout_;
  plan::Strategy strategy_;
  EfficiencyProfile profile_;  // at the sustained clock
  FrameworkProfile framework_;
  Communication communication_;
  Contention contention_;
  std::vector<GemmModel> gemm_;      // by Dtype
  std::vector<Source> gemm_source_;  // by Dtype
};

}  // namespace isochrone::costmodel
