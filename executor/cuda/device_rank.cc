#include "executor/cuda/device_rank.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>

#include "base/error.h"
#include "executor/rotary.h"
#include "executor/supported.h"

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kHostBytes = std::size_t{1} << 20;  // of parameters that travel at once

template <class T>
std::vector<T> RoundedTo(std::span<const float> values) {
  std::vector<T> rounded;
  rounded.reserve(values.size());
  for (const float v : values) rounded.push_back(T(v));
  return rounded;
}

std::optional<Format> TrainedFormat(plan::Dtype precision) {
  switch (precision) {
    case plan::Dtype::kFp32:
    case plan::Dtype::kTf32:
      return Format::kFloat;
    case plan::Dtype::kBf16:
      return Format::kBf16;
    case plan::Dtype::kFp16:
      return Format::kFp16;
    default:
      return std::nullopt;
  }
}

}  // namespace

DevicePlan PrepareDevicePlan(const plan::Scenario& s, const plan::Plan& plan, const RunOptions& options) {
  const auto refuse = [&](const std::string& key, const std::string& what, const std::string& instead) {
    throw Error(s.file + ": " + key, what, instead);
  };
  const plan::Strategy& strategy = s.strategy;
  const std::optional<Format> format = TrainedFormat(strategy.precision);
  if (!format) {
    refuse("/strategy/precision", "the CUDA executor trains in fp32, tf32, bf16 and fp16",
           "write one of these; fp8 is predicted only");
  }
  if (*format != Format::kFloat) {
    if (strategy.gradient_dtype != plan::Dtype::kFp32)
      refuse("/strategy/gradient_dtype", "the CUDA executor adds gradients up in fp32", "write \"fp32\"");
    if (strategy.gradient_reduce_dtype != plan::Dtype::kFp32)
      refuse("/strategy/gradient_reduce_dtype", "the CUDA executor reduces gradients in fp32", "write \"fp32\"");
    if (!strategy.fused_gradient_accumulation)
      refuse("/strategy/fused_gradient_accumulation", "the CUDA executor's products add to gradients", "write true");
  }
  CheckSupported(s, "the CUDA executor");
  DevicePlan run{.scenario = &s,
                 .plan = &plan,
                 .options = &options,
                 .liveness = {},
                 .launches = {},
                 .extents = {},
                 .routing = nullptr};
  for (const plan::LayerProgram& program : plan.programs) {
    run.liveness.push_back(LivenessOf(program));
    run.extents.push_back(ExtentsOf(program));
  }
  if (s.model.moe) run.routing = std::make_unique<const RoutingTable>(s);
  run.launches = OrderMessages(plan.schedule);
  run.format = *format;
  run.arithmetic = strategy.precision == plan::Dtype::kTf32 ? Arithmetic::kTf32 : Arithmetic::kFloat;
  return run;
}

DeviceRank::DeviceRank(const DevicePlan& run, int rank, Calls& calls)
    : run_(run),
      plan_(*run.plan),
      scenario_(*run.scenario),
      options_(*run.options),
      rank_(rank),
      at_(plan::CoordinatesOf(plan_.layout, rank)),
      positions_(run.scenario->model, run.scenario->strategy, at_.cp),
      calls_(calls),
      queues_(calls),
      memory_(calls, options_.memory_limit_bytes),
      timings_(plan_, calls),
      host_(calls, kHostBytes),
      text_(calls, static_cast<std::size_t>(2 * plan_.schedule.microbatches * scenario_.batch.microbatch *
                                            positions_.Local()) *
                       sizeof(std::int32_t)),
      loss_scale_(run.format == Format::kFp16) {
  const plan::Model& model = scenario_.model;
  BuildComms();
  if (model.position == plan::PositionKind::kRotary) {
    std::vector<float> cosine, sine;
    RotaryTables<float>(model, positions_, cosine, sine);
    cosine_ = FromHost(plan::BufferKind::kWorkspace, cosine, "cosines of rotary positions");
    sine_ = FromHost(plan::BufferKind::kWorkspace, sine, "sines of rotary positions");
  }
  loss_ = Zeros(plan::BufferKind::kWorkspace, sizeof(double), "loss");
  squared_norm_ = Zeros(plan::BufferKind::kWorkspace, sizeof(double), "gradient norm");
  clip_ = Zeros(plan::BufferKind::kWorkspace, sizeof(float), "clip factor");
  PrepareRouting();
  walk_.BuildSlots(plan_, at_.pp);
  state_.ListVisits(walk_.slots(), plan_.schedule.order[static_cast<std::size_t>(at_.pp)]);
  queues_.Synchronize();
}

DeviceRank::~DeviceRank() {
  // What still runs reads memory that is about to go. After an error there may be nothing to wait for.
  try {
    queues_.Synchronize();
  } catch (const std::exception&) {
  }
}

/// Communicators are made in one order of kinds by every rank; those of one kind do not overlap.
void DeviceRank::BuildComms() {
  using plan::Group;
  const bool last = at_.pp == 0 || at_.pp == plan_.layout.pp - 1;
  for (const Group group :
       {Group::kTensor, Group::kContext, Group::kExpertTensor, Group::kExpert, Group::kPipeline, Group::kDataContext,
        Group::kShard, Group::kReplica, Group::kExpertData, Group::kEmbedding, Group::kWorld}) {
    if (group == Group::kEmbedding && (!last || !scenario_.model.tied_embeddings)) continue;
    const std::vector<int> ranks = plan::RanksOf(plan_.layout, group, rank_);
    if (ranks.size() < 2) continue;
    const auto [it, is_new] = comms_.try_emplace(ranks, calls_);
    if (is_new)
      it->second.Make(std::string(plan::NameOf(group)) + " of rank " + std::to_string(ranks.front()), ranks, rank_);
    comm_of_[group] = &*it->second;
  }
  if (plan_.schedule.placement.directions == 1) return;
  plan::Coordinates other = at_;
  other.pp = plan_.layout.pp - 1 - at_.pp;
  std::vector<int> pair = {rank_, plan::RankAt(plan_.layout, other)};
  std::sort(pair.begin(), pair.end());
  const auto [it, is_new] = comms_.try_emplace(pair, calls_);
  if (is_new) it->second.Make("copies of rank " + std::to_string(pair.front()), pair, rank_);
  copies_ = &*it->second;
}

const Comm* DeviceRank::CommOf(plan::Group group) const {
  const auto it = comm_of_.find(group);
  return it == comm_of_.end() ? nullptr : it->second;
}

DeviceParameter* DeviceRank::AddParameter(Slot& slot, const plan::LayerProgram& program, const plan::Buffer& buffer,
                                          int layer) {
  if (buffer.borrowed) return walk_.Borrowed(program, buffer.name);
  auto p = std::make_unique<DeviceParameter>();
  p->shape = ShardOf<float>(scenario_.model, buffer, layer, CutOf(scenario_, plan_.layout, rank_));
  Parameter<float>& shape = p->shape;
  TieTable(scenario_.model, plan_.stages.size() > 1, buffer, shape);
  const bool shards = scenario_.strategy.optimizer_sharding != plan::Sharding::kNone;
  const Comm* comm = CommOf(shape.expert ? plan::Group::kExpertData : plan::Group::kShard);
  const Index owners = shards && comm != nullptr ? comm->Size() : 1;
  Own(owners, owners > 1 ? comm->index : 0, shape);
  const auto zeros = [&](plan::BufferKind kind, Index n, std::size_t size = sizeof(float)) {
    return Zeros(kind, static_cast<std::size_t>(n) * size, shape.key);
  };
  const bool shares_value = SharesValue(scenario_.strategy, shape);
  (shares_value ? p->value_share : p->value) =
      zeros(plan::BufferKind::kParameter, shares_value ? shape.owned : shape.padded, SizeOf(run_.format));
  if (run_.format != Format::kFloat) p->master = zeros(plan::BufferKind::kOptimizer, shape.owned);
  const bool shares_gradient = SharesGradient(scenario_.strategy, plan_.layout, shape);
  (shares_gradient ? p->gradient_share : p->gradient) =
      zeros(plan::BufferKind::kGradient, shares_gradient ? shape.owned : shape.padded);
  p->first_moment = zeros(plan::BufferKind::kOptimizer, shape.owned);
  p->second_moment = zeros(plan::BufferKind::kOptimizer, shape.owned);
  Upload(*p);
  slot.parameters.push_back(std::move(p));
  return slot.parameters.back().get();
}

/// Initial weights, the same as the CPU's; the value is what the master rounds to.
void DeviceRank::Upload(const DeviceParameter& p) {
  Memory host;
  Parameter<float> filled = p.shape;
  const std::size_t numbers = static_cast<std::size_t>(filled.padded);
  filled.value = host.Allocate(plan::BufferKind::kParameter, numbers * sizeof(float), filled.key);
  float* values = filled.value->As<float>();
  std::fill_n(values, numbers, 0.0f);
  if (options_.initial) {
    for (Index i = 0; i < filled.Count(); ++i)
      values[i] = static_cast<float>(options_.initial(filled.key, filled.FullIndex(i)));
  } else {
    Initialise(options_.seed, filled);
  }
  WithFormat(run_.format, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> rounded = RoundedTo<T>({values, numbers});
    Send(*p.KeptValue(), rounded.data() + (p.value_share ? filled.first_owned : 0), p.KeptValue()->Bytes());
  });
  if (p.master) Send(*p.master, values + filled.first_owned, p.master->Bytes());
}

/// From the host to a block, through pinned memory, piece by piece; waits for it.
void DeviceRank::Send(Block& to, const void* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kHostBytes) {
    const std::size_t piece = std::min(kHostBytes, bytes - at);
    std::memcpy(host_.As<char>(), static_cast<const char*>(from) + at, piece);
    Enqueue(plan::Stream::kCopy, {}, {&to},
            [&](Stream stream) { calls_.Copy(to.As<char>() + at, host_.As<char>(), piece, stream); });
    queues_.Synchronize();
  }
}

DeviceRank::Handle DeviceRank::Zeros(plan::BufferKind kind, std::size_t bytes, const std::string& what) {
  Handle block = memory_.Allocate(kind, bytes, what);
  ZeroOn(block.get());
  return block;
}

std::vector<float> DeviceRank::ToHost(const Block& block) {
  std::vector<float> values(block.Bytes() / sizeof(float));
  Block& from = const_cast<Block&>(block);
  for (std::size_t at = 0; at < block.Bytes(); at += kHostBytes) {
    const std::size_t piece = std::min(kHostBytes, block.Bytes() - at);
    Enqueue(plan::Stream::kCopy, {&from}, {},
            [&](Stream stream) { calls_.Copy(host_.As<char>(), block.As<char>() + at, piece, stream); });
    queues_.Synchronize();
    std::memcpy(reinterpret_cast<char*>(values.data()) + at, host_.As<char>(), piece);
  }
  return values;
}

std::string DeviceRank::Doing() const {
  return "rank " + std::to_string(rank_) + ", step " + std::to_string(step_) + (doing_.empty() ? "" : ", " + doing_);
}

RankReport DeviceRank::Report() {
  RankReport report{.records = std::move(records_),
                    .times = timings_.times,
                    .memory = memory_.AtPeak(),
                    .names = timings_.names,
                    .adds_loss = at_.tp == 0,
                    .tensors = {}};
  if (!options_.keep_tensors) return report;
  for (DeviceParameter* p : walk_.Parameters()) {
    const Parameter<float>& s = p->shape;
    HeldTensor held{.key = s.key,
                    .elements = static_cast<double>(s.full_rows * s.full_columns),
                    .value_at = {},
                    .value = {},
                    .gradient_at = {},
                    .gradient = {}};
    const std::vector<float> value = ToHost(*p->MasterBlock()), gradient = ToHost(*p->KeptGradient());
    const Index first = p->master || p->value_share ? s.first_owned : 0;  // of what `value` holds
    const Index first_gradient = p->gradient_share ? s.first_owned : 0;
    for (Index i = first; i < std::min(s.Count(), first + static_cast<Index>(value.size())); ++i) {
      const double at = static_cast<double>(s.FullIndex(i));
      held.value_at.push_back(at);
      held.value.push_back(static_cast<double>(value[static_cast<std::size_t>(i - first)]));
      if (i < s.first_owned || i >= s.first_owned + s.owned) continue;
      held.gradient_at.push_back(at);
      held.gradient.push_back(static_cast<double>(gradient[static_cast<std::size_t>(i - first_gradient)]) /
                              launched_scale_);
    }
    report.tensors.push_back(std::move(held));
  }
  return report;
}

}  // namespace isochrone::executor::cuda
