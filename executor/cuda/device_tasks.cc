// A rank's tasks: passes of microbatches through the layers of its chunks, and the messages between them.
#include <algorithm>

#include "base/error.h"
#include "executor/cuda/device_rank.h"

namespace isochrone::executor::cuda {
namespace {

using plan::Phase;

/// In a plan of fp32 everything that is real is float; else a buffer says what it is.
std::size_t BytesOf(const plan::Buffer& b) { return static_cast<std::size_t>(b.Size().value); }

}  // namespace

const Liveness& DeviceRank::LivenessOf(const Layer& layer) const {
  return run_.liveness[static_cast<std::size_t>(layer.program_index)];
}

/// All tokens and labels of this rank's step, into pinned memory: (microbatches, tokens | labels, B, S), S this rank's
/// positions.
void DeviceRank::WriteText() {
  const Index S = positions_.Local(), B = scenario_.batch.microbatch, microbatches = plan_.schedule.microbatches;
  std::vector<std::int32_t> text(static_cast<std::size_t>(scenario_.model.sequence + 1));
  for (Index m = 0; m < microbatches; ++m) {
    for (Index b = 0; b < B; ++b) {
      options_.tokens(step_, (Index{at_.dp} * microbatches + m) * B + b, text);
      for (Index label = 0; label < 2; ++label) {
        std::int32_t* to = text_.As<std::int32_t>() + ((2 * m + label) * B + b) * S;
        for (const PositionRun& run : positions_.Runs())
          std::copy_n(text.begin() + run.whole + label, run.length, to + run.local);
      }
    }
  }
}

/// Tokens and labels are not made by an op.
void DeviceRank::BindText(const Layer& layer, Frame& frame, int microbatch) {
  const plan::LayerProgram& p = *layer.program;
  const Index n = scenario_.batch.microbatch * positions_.Local();
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    const std::string& name = p.buffers[b].name;
    if (p.buffers[b].dtype != plan::Dtype::kInt32 || (name != "tokens" && name != "labels") || frame[b]) continue;
    frame[b] = NewBuffer(layer, static_cast<int>(b), microbatch);
    const std::int32_t* from = text_.As<std::int32_t>() + (2 * Index{microbatch} + (name == "labels" ? 1 : 0)) * n;
    now_ = {.kind = Timings::What::Kind::kStepOp, .name = "text"};
    Enqueue(plan::Stream::kCopy, {}, {frame[b].get()}, [&](Stream stream) {
      calls_.Copy(frame[b]->As<void>(), from, static_cast<std::size_t>(n) * sizeof(std::int32_t), stream);
    });
  }
}

const DeviceRouting* DeviceRank::RoutingAt(int microbatch) const {
  return routing_.empty() ? nullptr : &routing_[static_cast<std::size_t>(microbatch)];
}

DeviceRank::Handle DeviceRank::NewBuffer(const Layer& layer, int b, int microbatch) {
  const plan::Buffer& buffer = layer.program->buffers[static_cast<std::size_t>(b)];
  const Extent extent = run_.extents[static_cast<std::size_t>(layer.program_index)][static_cast<std::size_t>(b)];
  const DeviceRouting* routing = RoutingAt(microbatch);
  const Index numbers = ElementsOf(buffer, extent, routing != nullptr ? &routing->on_host : nullptr);
  const bool kept =
      buffer.lifetime == plan::Lifetime::kMicrobatch || (b == layer.program->output && layer.output_is_kept);
  return memory_.Allocate(kept ? plan::BufferKind::kActivation : plan::BufferKind::kWorkspace,
                          static_cast<std::size_t>(static_cast<double>(numbers) * plan::SizeOf(buffer.dtype).value),
                          buffer.name);
}

DeviceRank::Operands DeviceRank::OperandsOf(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch,
                                            Phase phase) {
  const auto block = [&](int b) -> Block* {
    const auto i = static_cast<std::size_t>(b);
    if (DeviceParameter* p = layer.parameter[i])
      return (layer.program->buffers[i].kind == plan::BufferKind::kGradient ? p->gradient : p->value).get();
    ISO_CHECK_NOTE(frame[i] != nullptr, Doing() + ": " + layer.program->buffers[i].name +
                                            " is read before written in " + plan::NameOf(phase));
    return frame[i].get();
  };
  Operands o;
  for (int b : op.out) {
    const auto i = static_cast<std::size_t>(b);
    o.fresh.push_back(layer.parameter[i] == nullptr && !frame[i]);
    if (o.fresh.back()) frame[i] = NewBuffer(layer, b, microbatch);
  }
  o.op = &op;
  o.layer = &layer;
  o.backward = phase != Phase::kForward && phase != Phase::kRecompute;
  o.routing = RoutingAt(microbatch);
  o.rows = RowsOf(scenario_, plan_.layout, at_, positions_, plan_.schedule.microbatches, microbatch);
  o.sequence = SeedOf(static_cast<std::uint64_t>(step_), op.name + "." + std::to_string(layer.layer));
  for (int b : op.in) o.in.push_back(block(b));
  for (int b : op.out) o.out.push_back(block(b));
  return o;
}

void DeviceRank::RunOps(const Layer& layer, Frame& frame, Phase phase, const Releases& releases, int microbatch) {
  const std::vector<plan::Op>& ops = layer.program->Ops(phase);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    doing_ = "op " + ops[i].name + " of " + layer.program->name +
             (layer.layer >= 0 ? " layer " + std::to_string(layer.layer) : "") + ", " + plan::NameOf(phase) +
             " of microbatch " + std::to_string(microbatch);
    now_ = {.kind = Timings::What::Kind::kOp,
            .phase = phase,
            .program = layer.program_index,
            .op = static_cast<int>(i),
            .name = {}};
    if (IsCopyBesideState(ops[i])) continue;
    if (MovesState(ops[i])) {
      MoveState(layer, ops[i]);
      continue;
    }
    RunOp(OperandsOf(layer, frame, ops[i], microbatch, phase));
    for (int b : releases[i]) frame[static_cast<std::size_t>(b)].reset();
  }
}

// ---- messages -----------------------------------------------------------------------------------------------------

/// The receiver's buffer of a message.
const plan::Buffer& DeviceRank::BufferOf(const PipelineMessage& m, int chunk) const {
  const Slot& slot = walk_.slots()[static_cast<std::size_t>(chunk)];
  const plan::LayerProgram& p = m.backward ? *slot.layers.back().program : *slot.layers.front().program;
  return p.buffers[static_cast<std::size_t>(m.backward ? p.output_gradient : p.input)];
}

/// One group: what this rank sends and receives at one instant. Each tensor rank may send its part alone, which the
/// receiver's tensor ranks gather.
void DeviceRank::Exchange(const MessageGroup& group) {
  doing_ = "messages of its pipeline";
  struct Half {
    Block* block;
    char* data;
    Index count;
    int peer;
    bool leaves;
  };
  const Comm& comm = *CommOf(plan::Group::kPipeline);
  std::vector<Half> halves;
  std::vector<Block*> reads, writes, cut;
  std::vector<Handle> sent;  // held until launched
  for (const PipelineMessage& m : group) {
    const MessageKey key{m.backward, m.direction, m.stage, m.microbatch};
    const bool leaves = m.from == at_.pp;
    Handle block;
    if (leaves) {
      block = std::move(leaving_.at(key));
      leaving_.erase(key);
      sent.push_back(block);
    } else {
      const int chunk = plan_.schedule.placement.ChunkOf(m.direction, m.stage + (m.backward ? -1 : 1));
      const plan::Buffer& like = BufferOf(m, chunk);
      const bool kept = like.lifetime == plan::Lifetime::kMicrobatch;
      block = memory_.Allocate(kept ? plan::BufferKind::kActivation : plan::BufferKind::kWorkspace, BytesOf(like),
                               like.name);
      arrived_[key] = block;
    }
    const std::size_t number = SizeOf(run_.format);
    const Index n = static_cast<Index>(block->Bytes() / number), tp = plan_.layout.tp;
    const bool parts = plan_.message_scatter_gather && tp > 1 && n % tp == 0;
    const Index count = parts ? n / tp : n;
    (leaves ? reads : writes).push_back(block.get());
    if (parts && !leaves) cut.push_back(block.get());
    halves.push_back({block.get(), block->As<char>() + (parts ? static_cast<std::size_t>(count * at_.tp) * number : 0),
                      count, leaves ? m.to : m.from, leaves});
  }
  now_ = {.kind = Timings::What::Kind::kMessage, .name = {}};
  Enqueue(plan::Stream::kPipeline, reads, writes, [&](Stream stream) {
    HeldGroup together(calls_);
    for (const Half& h : halves) {
      if (h.leaves) calls_.Send(comm, h.data, h.count, run_.format, h.peer, stream);
      else calls_.Receive(comm, h.data, h.count, run_.format, h.peer, stream);
    }
    together.End();
  });
  for (Block* b : cut) {
    const Index n = static_cast<Index>(b->Bytes() / SizeOf(run_.format));
    char* data = b->As<char>();
    char* mine = data + b->Bytes() / static_cast<std::size_t>(plan_.layout.tp) * static_cast<std::size_t>(at_.tp);
    now_ = {.kind = Timings::What::Kind::kMessage, .name = {}};
    Enqueue(plan::Stream::kTensor, {}, {b}, [&](Stream stream) {
      calls_.AllGather(*CommOf(plan::Group::kTensor), mine, data, n, run_.format, stream);
    });
  }
}

DeviceRank::Handle DeviceRank::Arriving(const Slot& slot, int, int microbatch, bool backward) {
  const MessageKey key{backward, slot.direction, slot.stage + (backward ? 1 : -1), microbatch};
  const auto it = arrived_.find(key);
  ISO_CHECK_NOTE(it != arrived_.end(), Doing() + ": a message was not launched before its task");
  Handle block = std::move(it->second);
  arrived_.erase(it);
  return block;
}

/// What stays on this rank has arrived.
void DeviceRank::Leaving(const Slot& slot, int microbatch, bool backward, Handle data) {
  const int to = plan_.schedule.placement.RankOf(slot.direction, slot.stage + (backward ? -1 : 1));
  (to == at_.pp ? arrived_ : leaving_)[{backward, slot.direction, slot.stage, microbatch}] = std::move(data);
}

}  // namespace isochrone::executor::cuda
