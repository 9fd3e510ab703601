// A rank's tasks: passes of microbatches through the layers of its chunks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "executor/rank.h"

namespace isochrone::executor {
namespace {

using plan::Phase;

template <class T>
std::size_t SizeOf(const plan::Buffer& b) {
  const bool real = b.dtype != plan::Dtype::kInt32 && b.dtype != plan::Dtype::kMask;
  return real ? sizeof(T) : static_cast<std::size_t>(plan::SizeOf(b.dtype).value);
}

}  // namespace

template <class T>
void Rank<T>::BeginPass() {
  pass_start_ = mark_ = clock_.Now();
}

template <class T>
void Rank<T>::EndPass(const plan::Task& task) {
  record_.spans.push_back({.start = pass_start_, .end = clock_.Now(), .rank = rank_, .task = task});
}

template <class T>
const Liveness& Rank<T>::LivenessOf(const Layer& layer) const {
  return run_.liveness[static_cast<std::size_t>(layer.program_index)];
}

/// Tokens and labels are not made by an op.
template <class T>
void Rank<T>::BindText(const Layer& layer, Frame& frame, int microbatch) {
  const plan::LayerProgram& p = *layer.program;
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    const plan::Buffer& buffer = p.buffers[b];
    if (buffer.dtype != plan::Dtype::kInt32 || (buffer.name != "tokens" && buffer.name != "labels") || frame[b])
      continue;
    frame[b] = NewBuffer(layer, static_cast<int>(b), microbatch);
    auto* ids = frame[b]->template As<std::int32_t>();
    const Index S = settings_.positions.Local(), B = scenario_.batch.microbatch,
                shift = buffer.name == "labels" ? 1 : 0;
    const Index first = (Index{at_.dp} * plan_.schedule.microbatches + microbatch) * B;
    std::vector<std::int32_t> text(static_cast<std::size_t>(scenario_.model.sequence + 1));
    for (Index s = 0; s < B; ++s) {
      options_.tokens(step_, first + s, text);
      for (const PositionRun& run : settings_.positions.Runs())
        std::copy_n(text.begin() + run.whole + shift, run.length, ids + s * S + run.local);
    }
  }
}

template <class T>
const Routing* Rank<T>::RoutingAt(int microbatch) {
  if (!run_.routing) return nullptr;
  const auto it = routing_.find(microbatch);
  if (it != routing_.end()) return &it->second;
  return &routing_
              .emplace(microbatch, RoutingOf(scenario_, plan_.layout, *run_.routing, rank_, plan_.schedule.microbatches,
                                             microbatch))
              .first->second;
}

template <class T>
Memory::Handle Rank<T>::NewBuffer(const Layer& layer, int b, int microbatch) {
  const plan::Buffer& buffer = layer.program->buffers[static_cast<std::size_t>(b)];
  const Extent extent = run_.extents[static_cast<std::size_t>(layer.program_index)][static_cast<std::size_t>(b)];
  const bool kept =
      buffer.lifetime == plan::Lifetime::kMicrobatch || (b == layer.program->output && layer.output_is_kept);
  return memory_.Allocate(
      kept ? plan::BufferKind::kActivation : plan::BufferKind::kWorkspace,
      static_cast<std::size_t>(ElementsOf(buffer, extent, RoutingAt(microbatch))) * SizeOf<T>(buffer), buffer.name);
}

template <class T>
Operands<T> Rank<T>::OperandsOf(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch, Phase phase) {
  const auto pointer = [&](int b) -> void* {
    const std::size_t i = static_cast<std::size_t>(b);
    if (Parameter<T>* p = layer.parameter[i]) {
      const bool gradient = layer.program->buffers[i].kind == plan::BufferKind::kGradient;
      return (gradient ? p->gradient : p->value)->template As<T>();
    }
    ISO_CHECK_NOTE(frame[i] != nullptr, Doing() + ": " + layer.program->buffers[i].name +
                                            " is read before written in " + plan::NameOf(phase));
    return frame[i]->template As<T>();
  };
  Operands<T> o;
  for (int b : op.out) {
    const std::size_t i = static_cast<std::size_t>(b);
    o.fresh.push_back(layer.parameter[i] == nullptr && !frame[i]);
    if (o.fresh.back()) frame[i] = NewBuffer(layer, b, microbatch);
  }
  o.op = &op;
  o.program = layer.program;
  o.settings = &settings_;
  o.memory = &memory_;
  o.workers = &workers_;
  o.routing = RoutingAt(microbatch);
  o.backward = phase != Phase::kForward && phase != Phase::kRecompute;
  o.rows = RowsOf(scenario_, plan_.layout, at_, settings_.positions, plan_.schedule.microbatches, microbatch);
  o.stream = SeedOf(static_cast<std::uint64_t>(step_), op.name + "." + std::to_string(layer.layer));
  for (int b : op.in) o.in.push_back(pointer(b));
  for (int b : op.out) o.out.push_back(pointer(b));
  return o;
}

template <class T>
void Rank<T>::RunOps(const Layer& layer, Frame& frame, Phase phase, const Releases& releases, int microbatch) {
  const std::vector<plan::Op>& ops = layer.program->Ops(phase);
  auto& seconds = times_.seconds[static_cast<std::size_t>(layer.program_index)][static_cast<std::size_t>(phase)];
  auto& count = times_.count[static_cast<std::size_t>(layer.program_index)][static_cast<std::size_t>(phase)];
  for (std::size_t i = 0; i < ops.size(); ++i) {
    RunOp(layer, frame, ops[i], microbatch, phase);
    for (int b : releases[i]) frame[static_cast<std::size_t>(b)].reset();
    // What surrounds an op counts as its own, so that ops add up to their pass; a collective's wait does too.
    const double now = clock_.Now();
    if (Counts()) {
      seconds[i] += now - mark_;
      count[i] += 1;
    }
    if (!std::holds_alternative<plan::Collective>(ops[i].kind)) Compute(now - mark_, phase);
    mark_ = now;
  }
}

template <class T>
void Rank<T>::Compute(double seconds, Phase phase) {
  (phase == Phase::kRecompute ? record_.attribution.recompute : record_.attribution.compute) += Seconds(seconds);
}

template <class T>
void Rank<T>::RunOp(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch, Phase phase) {
  doing_ = "op " + op.name + " of " + layer.program->name +
           (layer.layer >= 0 ? " layer " + std::to_string(layer.layer) : "") + ", " + plan::NameOf(phase) +
           " of microbatch " + std::to_string(microbatch);
  if (options_.before_op) options_.before_op(rank_, step_, op);
  if (IsCopyBesideState(op)) return;
  if (MovesState(op)) {
    worked_ = 0;
    state_.Move(layer, op);
    return progress_();
  }
  const Operands<T> o = OperandsOf(layer, frame, op, microbatch, phase);
  if (const auto* c = std::get_if<plan::Collective>(&op.kind)) {
    LayerCollective(layer, op, *c, o);
  } else {
    executor::Compute<T>(o);
    const bool whole = plan_.layout.tp == 1;  // else the statistics are merged first
    if (const auto* ce = std::get_if<plan::CrossEntropy>(&op.kind); ce && ce->pass == plan::Pass::kForward && whole)
      AddLoss(o.Out(0), ce->tokens);
  }
  if (checks_values_) CheckValues(layer, frame, op);
  progress_();
}

/// Throws Error if `op` wrote a value that is not finite. Statistics may be infinite: nothing seen, nothing summed.
template <class T>
void Rank<T>::CheckValues(const Layer& layer, const Frame& frame, const plan::Op& op) const {
  for (int b : op.out) {
    const std::size_t i = static_cast<std::size_t>(b);
    const plan::Buffer& buffer = layer.program->buffers[i];
    const Parameter<T>* p = layer.parameter[i];
    if (buffer.statistic || buffer.dtype == plan::Dtype::kInt32 || buffer.dtype == plan::Dtype::kMask) continue;
    const Memory::Handle& block = p == nullptr ? frame[i] : p->gradient;
    const T* values = block->template As<T>();
    const std::size_t n = block->Size() / sizeof(T);
    if (std::all_of(values, values + n, [](T v) { return std::isfinite(v); })) continue;
    throw Error(Doing(), "wrote a value that is not a finite number into " + buffer.name,
                "lower the learning rate or clip gradients; look at what this op read");
  }
}

// ---- messages -----------------------------------------------------------------------------------------------------

template <class T>
Memory::Handle Rank<T>::Arriving(const Slot& slot, int chunk, int microbatch, bool backward) {
  const plan::Placement& place = plan_.schedule.placement;
  const int made_by = slot.stage + (backward ? 1 : -1);
  const Tag tag{backward, slot.direction, made_by, microbatch};
  const int from = place.RankOf(slot.direction, made_by);
  doing_ = std::string("receiving ") + (backward ? "a gradient" : "activations") + " for chunk " +
           std::to_string(chunk) + ", microbatch " + std::to_string(microbatch);
  if (from == at_.pp) {
    Memory::Handle data = std::move(local_.at(tag));
    local_.erase(tag);
    return data;
  }
  const plan::LayerProgram& at_end = *(backward ? slot.layers.back() : slot.layers.front()).program;
  const plan::Buffer& like = at_end.buffers[static_cast<std::size_t>(backward ? at_end.output_gradient : at_end.input)];
  plan::Coordinates peer = at_;
  peer.pp = from;
  const bool kept = like.lifetime == plan::Lifetime::kMicrobatch;
  Memory::Handle data = memory_.Allocate(kept ? plan::BufferKind::kActivation : plan::BufferKind::kWorkspace,
                                         static_cast<std::size_t>(like.Elements()) * SizeOf<T>(like), like.name);
  const Index n = static_cast<Index>(like.Elements()), tp = plan_.layout.tp;
  T* to = data->As<T>();
  const double start = clock_.Now();
  const bool cut = plan_.message_scatter_gather && n % tp == 0;
  const Index part = cut ? n / tp : n, at = cut ? part * at_.tp : 0;
  Account(plan::Stream::kPipeline, communicator_.Receive(plan::RankAt(plan_.layout, peer), tag, to + at, part));
  if (cut) {
    const Slice<T> slice{to + at, to, n};
    Account(plan::Stream::kPipeline, communicator_.AllGather(TeamOf(plan::Group::kTensor), {&slice, 1}));
  }
  const plan::Task task{.phase = backward ? Phase::kBackward : Phase::kForward,
                        .chunk = static_cast<std::uint8_t>(chunk),
                        .microbatch = static_cast<std::int32_t>(microbatch)};
  record_.spans.push_back({.start = start,
                           .end = clock_.Now(),
                           .rank = rank_,
                           .kind = plan::SpanKind::kMessage,
                           .stream = plan::Stream::kPipeline,
                           .task = task});
  return data;
}

template <class T>
void Rank<T>::Leaving(const Slot& slot, int microbatch, bool backward, Memory::Handle data) {
  const plan::Placement& place = plan_.schedule.placement;
  const Tag tag{backward, slot.direction, slot.stage, microbatch};
  const int to = place.RankOf(slot.direction, slot.stage + (backward ? -1 : 1));
  if (to == at_.pp) {
    local_[tag] = std::move(data);
    return;
  }
  const plan::LayerProgram& at_end = *(backward ? slot.layers.front() : slot.layers.back()).program;
  const plan::Buffer& like = at_end.buffers[static_cast<std::size_t>(backward ? at_end.input_gradient : at_end.output)];
  plan::Coordinates peer = at_;
  peer.pp = to;
  const Index n = static_cast<Index>(like.Elements()), tp = plan_.layout.tp;
  const bool cut = plan_.message_scatter_gather && n % tp == 0;
  const Index part = cut ? n / tp : n, at = cut ? part * at_.tp : 0;
  Account(plan::Stream::kPipeline, communicator_.Send(plan::RankAt(plan_.layout, peer), tag, data->As<T>() + at, part));
}

#define ISO_RANK_TASKS(T)                                                 \
  template void Rank<T>::BeginPass();                                     \
  template void Rank<T>::EndPass(const plan::Task&);                      \
  template const Liveness& Rank<T>::LivenessOf(const Layer&) const;       \
  template Memory::Handle Rank<T>::Arriving(const Slot&, int, int, bool); \
  template void Rank<T>::Leaving(const Slot&, int, bool, Memory::Handle); \
  template void Rank<T>::BindText(const Layer&, Frame&, int);             \
  template void Rank<T>::RunOps(const Layer&, Frame&, plan::Phase, const Releases&, int);
ISO_RANK_TASKS(float)
ISO_RANK_TASKS(double)

}  // namespace isochrone::executor
