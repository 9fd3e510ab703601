#include "costmodel/costs.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "base/text.h"
#include "costmodel/attention.h"
#include "costmodel/elementwise.h"
#include "costmodel/pipelined.h"
#include "costmodel/recurrent.h"
#include "costmodel/torch_passes.h"

namespace isochrone::costmodel {

namespace {

// Multiprocessors that a collective holds: NCCL takes as few as reach the links' speed, 2 for one NIC, 16 where NVLink
// or eight NICs are used (its maintainer in NVIDIA/nccl issue 689).
constexpr double kChannels = 16;

double Held(const plan::Gpu& gpu, double channels) {
  const double all = gpu.multiprocessors;
  return all > channels ? all / (all - channels) : 1;
}

// Of a group of `size` among the data and context ranks, counted by its stride: a search asks too often for
// plan::ShapeOf.
double DataChannels(const plan::Layout& layout, int size, const plan::Node& node) {
  const int stride = layout.tp * (layout.pipeline_innermost_of_data ? layout.pp : 1);
  const int per_node = std::max(1, layout.gpus_per_node / stride);
  if (size <= per_node) return kChannels;
  return std::clamp(2.0 * per_node * node.nics / node.gpus, 1.0, kChannels);
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

// Where a framework hands a gather its result as a list of one tensor a rank, the host prepares and copies each.
Seconds HostOfGather(const plan::OpKind& kind, const plan::Layout& layout, const FrameworkProfile& framework) {
  const auto* collective = std::get_if<plan::Collective>(&kind);
  const bool sharded = collective && collective->group == plan::Group::kShard;
  return sharded ? layout.Shard() * framework.gather_rank : Seconds(0);
}

BytesPerSecond HostLink(const plan::Node& node, plan::TransferKind kind) {
  switch (kind) {
    case plan::TransferKind::kToHost:
    case plan::TransferKind::kFromHost:
      return node.host_bandwidth;
    case plan::TransferKind::kToNvme:
      return Min(node.host_bandwidth, node.nvme_write / node.gpus);
    case plan::TransferKind::kFromNvme:
      return Min(node.host_bandwidth, node.nvme_read / node.gpus);
  }
  return node.host_bandwidth;
}

const Source& DataSheet() {
  static const Source source = {"data sheet of the links", false};
  return source;
}

/// What ranks say to each other, priced and explained by Communication.
template <class Op>
struct SaidPrice {
  const Communication& communication;
  const Op& op;
  Seconds total = communication.TimeOf(op);
};
template <class Op>
SaidPrice(const Communication&, const Op&) -> SaidPrice<Op>;

template <class Op>
std::vector<Term> TermsOf(const SaidPrice<Op>& price, const Source&) {
  return price.communication.Explain(price.op);
}

LinkPrice OnLink(Bytes bytes, BytesPerSecond bandwidth, Seconds latency) {
  return {latency + bytes / bandwidth, bytes, bandwidth, latency};
}

}  // namespace

void HoldForBuckets(const plan::Cluster& cluster, const plan::Layout& layout, Contention& contention) {
  if (contention.measured) return;
  contention.compute[static_cast<std::size_t>(plan::Stream::kData)] =
      Held(cluster.node.gpu, DataChannels(layout, layout.dp * layout.cp, cluster.node));
}

Costs::Costs(const plan::Cluster& cluster, const plan::Layout& layout, const plan::Strategy& strategy,
             const EfficiencyProfile& profile, const FrameworkProfile& framework)
    : cluster_(cluster),
      layout_(layout),
      strategy_(strategy),
      profile_(Sustained(profile, framework.sustained_clock)),
      framework_(framework),
      communication_(cluster, layout),
      contention_(MadeContention()) {
  for (std::size_t i = 0; i < plan::DtypeNames().size(); ++i) {
    const auto dtype = static_cast<plan::Dtype>(i);
    gemm_.emplace_back(cluster.node.gpu, CurveOf(profile_, dtype), dtype);
    gemm_source_.push_back(SourceOf(profile_, dtype));
  }
}

// Calls use(price, source, kernels) with the price struct of the op's kind; kernels is 0 where the host launches none.
template <class Use>
auto Costs::Price(const plan::OpKind& kind, const Use& use) const {
  const plan::Node& node = cluster_.node;
  const plan::Gpu& gpu = node.gpu;
  const auto streamed = [&](const auto& op) {
    const StreamPrice price = PriceOf(op, gpu, profile_.memory);
    return use(price, profile_.memory.source, price.kernels);
  };
  const auto multiplied = [&](const auto& op) {
    return use(GemmOf(op.dtype).Price(op), gemm_source_[static_cast<std::size_t>(op.dtype)], 1);
  };
  const auto mixed = [&](const MixedPrice& price, plan::Dtype dtype) {
    return use(price, gemm_source_[static_cast<std::size_t>(dtype)], price.kernels);
  };
  const auto said = [&](const auto& op) { return use(SaidPrice{communication_, op}, DataSheet(), 0); };
  const auto linked = [&](const LinkPrice& price) { return use(price, DataSheet(), 0); };
  return std::visit(
      Overloaded{
          [&](const plan::Gemm& op) { return multiplied(op); },
          [&](const plan::GroupedGemm& op) {
            const GemmPrice price = GemmOf(op.dtype).Price(op, GroupedFormOf(strategy_, gpu));
            return use(price, gemm_source_[static_cast<std::size_t>(op.dtype)], price.calls);
          },
          [&](const plan::Attention& op) {
            const AttentionPrice price = PriceOf(op, gpu, profile_, framework_.flash);
            const bool forward = op.pass == plan::Pass::kForward;
            return use(price, (forward ? profile_.attention_forward : profile_.attention_backward).source,
                       price.kernels);
          },
          [&](const plan::Softmax& op) { return streamed(op); },
          [&](const plan::Normalization& op) {
            const bool eager = !strategy_.fused_kernels && !strategy_.compiled;
            const StreamPrice price = PriceOf(op, gpu, profile_.memory, eager);
            return use(price, profile_.memory.source, price.kernels);
          },
          [&](const plan::Elementwise& op) { return streamed(op); },
          [&](const plan::Embedding& op) { return streamed(op); },
          [&](const plan::CrossEntropy& op) { return streamed(op); },
          [&](const plan::Collective& op) { return said(op); },
          [&](const plan::Message& op) { return said(op); },
          [&](const plan::OptimizerUpdate& op) { return streamed(op); },
          [&](const plan::GradientNorm& op) { return streamed(op); },
          [&](const plan::Transfer& op) { return linked(OnLink(op.bytes, HostLink(node, op.kind), Seconds(0))); },
          [&](const plan::Route& op) { return streamed(op); },
          [&](const plan::Permute& op) { return streamed(op); },
          [&](const plan::Scan& op) { return mixed(PriceOf(op, gpu, profile_), op.dtype); },
          [&](const plan::Convolution& op) { return mixed(PriceOf(op, gpu, profile_, GemmOf(op.dtype)), op.dtype); },
          [&](const plan::Recurrent& op) { return mixed(PriceOf(op, GemmOf(op.dtype)), op.dtype); },
      },
      kind);
}

double Costs::Slowdown(const plan::OpKind& kind, int kernels) const {
  const auto* collective = std::get_if<plan::Collective>(&kind);
  if (collective && collective->group == plan::Group::kTensor) return framework_.tensor_communication;
  const double attention = std::holds_alternative<plan::Attention>(kind) ? framework_.attention_time : 1;
  return kernels > 0 ? framework_.kernel_time * attention : 1;
}

Seconds Costs::TorchTime(const plan::OpKind& kind) const {
  return TorchPasses(kind, strategy_) / (profile_.memory.elementwise_over_peak * cluster_.node.gpu.memory_bandwidth);
}

Seconds Costs::TimeOf(const plan::OpKind& kind) const {
  return Price(kind, [&](const auto& price, const Source&, int kernels) {
    return Max(Slowdown(kind, kernels) * (price.total + TorchTime(kind)), kernels * framework_.launch) +
           HostOfGather(kind, layout_, framework_);
  });
}

std::vector<Term> Costs::Explain(const plan::Op& op) const {
  return Price(op.kind, [&](const auto& price, const Source& source, int kernels) {
    std::vector<Term> terms = TermsOf(price, source);
    const double slowdown = Slowdown(op.kind, kernels);
    const Seconds passes = TorchTime(op.kind), alone = price.total + passes;
    if (passes.value > 0)
      terms.push_back({"PyTorch's passes over the result", "bytes / bandwidth",
                       "bytes = " + HumanBytes(TorchPasses(op.kind, strategy_)), passes, profile_.memory.source});
    if (slowdown != 1)
      terms.push_back({"framework", "(factor - 1) time alone", "factor = " + ThreeDigits(slowdown),
                       (slowdown - 1) * alone, framework_.source});
    const Seconds list = HostOfGather(op.kind, layout_, framework_);
    if (list.value > 0)
      terms.push_back(
          {"host", "ranks time of one rank's tensor", "ranks = " + Grouped(layout_.Shard()), list, framework_.source});
    const Seconds floor = kernels * framework_.launch, time = slowdown * alone;
    if (time < floor)
      terms.push_back({"host", "kernels launch - time on the GPU", "kernels = " + Grouped(kernels), floor - time,
                       framework_.source});
    return terms;
  });
}

std::vector<double> Costs::HeldSeconds(const std::vector<plan::Op>& ops, std::vector<double> alone) const {
  return strategy_.pipelined_tensor
             ? PipelinedSeconds(ops, std::move(alone), layout_.tp,
                                ContentionOf().compute[static_cast<std::size_t>(plan::Stream::kTensor)])
             : alone;
}

std::vector<double> Costs::LateShares(const std::vector<plan::Op>& ops) const {
  if (ContentionOf().product == 1) return {};
  std::vector<double> late(ops.size(), 0);
  const auto share = [&](const GemmPrice& price) {
    return LateShare(price.tiles, cluster_.node.gpu.multiprocessors, kChannels);
  };
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (const auto* one = std::get_if<plan::Gemm>(&ops[i].kind)) late[i] = share(GemmOf(one->dtype).Price(*one));
    if (const auto* group = std::get_if<plan::GroupedGemm>(&ops[i].kind))
      late[i] = share(GemmOf(group->dtype).Price(*group, GroupedFormOf(strategy_, cluster_.node.gpu)));
  }
  return late;
}

std::vector<Term> Costs::ExplainMessage(Bytes bytes, bool scatter_gather, plan::MessageMode mode) const {
  const bool cut = scatter_gather && layout_.tp > 1;
  std::vector<Term> terms = communication_.Explain(plan::Message{cut ? bytes / layout_.tp : bytes});
  if (cut) {
    const plan::Collective gather{plan::CollectiveKind::kAllGather, plan::Group::kTensor, bytes};
    for (const Term& term : communication_.Explain(gather)) terms.push_back(term);
  }
  const Seconds host = HostOfMessage(mode);
  if (host.value > 0) terms.push_back({"host", "launch after the wait", "", host, framework_.source});
  return terms;
}

// As measured; else collectives hold a few multiprocessors, on which no other kernel runs meanwhile. Copy engines hold
// none.
//
// Hopper's products are persistent kernels that share out their tiles among 132 blocks beforehand, so that a few
// multiprocessors less make two waves of one: "matmuls take 2x as long" beside NCCL (pytorch issue 143988); 80 % of the
// peak become 47 beside an all-gather of 24 blocks (NVIDIA's developer forum, 337991), which is taken: the late blocks
// have the caches and the power to themselves. Blackwell's get their tiles while they run (cluster launch control;
// NVIDIA/cutlass issue 2471), Ampere's are many small blocks. Userbuffers leave their multiprocessors out of what
// products count on, and PyTorch's asynchronous tensor parallelism has the copy engines do it.
Contention Costs::MadeContention() const {
  using plan::Stream;
  const auto at = [](Stream stream) { return static_cast<std::size_t>(stream); };
  const plan::Gpu& gpu = cluster_.node.gpu;
  Contention contention;
  if (profile_.overlap.compute > 0) {
    contention = {profile_.overlap.compute, profile_.overlap.communication};
    contention.compute[at(Stream::kCopy)] = 1;
    contention.measured = true;
    return contention;
  }
  const auto hold = [&](Stream stream, double channels) {
    contention.compute[at(stream)] = Held(gpu, channels);
    contention.holds_up[at(stream)] = gpu.architecture == "hopper";
  };
  for (const Stream stream : {Stream::kTensor, Stream::kContext, Stream::kExpert, Stream::kPipeline})
    hold(stream, kChannels);
  hold(Stream::kData, DataChannels(layout_, layout_.Shard(), cluster_.node));
  if (gpu.architecture == "hopper") contention.product = 80.0 / 47;
  const bool asynchronous = strategy_.framework == "fsdp" || strategy_.framework == "fsdp2";
  if (asynchronous) contention.compute[at(Stream::kTensor)] = 1;
  if (asynchronous || strategy_.pipelined_tensor) contention.holds_up[at(Stream::kTensor)] = false;
  return contention;
}

Contention Costs::ContentionOfBuckets() const {
  Contention contention = contention_;
  HoldForBuckets(cluster_, layout_, contention);
  return contention;
}

Source Costs::ContentionSource() const {
  if (profile_.overlap.compute > 0) return profile_.overlap.source;
  return {
      "multiprocessors that NCCL holds: NVIDIA/nccl issue 689, as few as reach the links' speed, 2 for one NIC, 16 "
      "for NVLink or eight; products on Hopper: an all-gather beside a product, 80 and 47 % of the peak, NVIDIA "
      "developer forum 337991",
      false};
}

Seconds Costs::HostTimePerStep() const { return framework_.step; }

}  // namespace isochrone::costmodel
