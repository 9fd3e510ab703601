// Attention over context ranks on the device: keys and values travel (ring), are gathered, or are exchanged for heads.
#include <cmath>
#include <optional>

#include "base/error.h"
#include "executor/cuda/device_rank.h"
#include "executor/packed_heads.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;
using plan::Group;

Index ColumnsOf(const plan::Buffer& b) { return b.shape.size() > 1 ? b.shape.back() : 1; }

}  // namespace

/// One hop of a ring: the sum of what comes in goes to the next rank, and the result is the previous rank's. Keys and
/// values are the last columns of packed rows.
template <class T>
void DeviceRank::PassOn(const Operands& o) {
  const Comm& comm = *CommOf(Group::kContext);
  const Index from = ColumnsOf(o.InBuffer(0)), to = ColumnsOf(o.OutBuffer(0)), width = std::min(from, to);
  const Index rows = o.InBuffer(0).shape.front(), n = rows * width;
  const Handle leaving = Workspace<T>(n, "keys that leave"), arriving = Workspace<T>(n, "keys that arrive");
  CopyColumns<T>(rows, width, {o.in.at(0), from - width, from}, {leaving.get(), 0, width});
  if (o.in.size() > 1) {
    T* sum = leaving->As<T>();
    const T* gained = o.In<T>(1);
    RunKernels(o.op->name, {o.in.at(1)}, {leaving.get()}, [=](Stream s) { on_device::Add<T>(s, n, sum, gained, sum); });
  }
  const int size = comm.Size(), next = (comm.index + 1) % size, previous = (comm.index + size - 1) % size;
  Enqueue(o.op->stream, {leaving.get()}, {arriving.get()}, [&](Stream stream) {
    HeldGroup together(calls_);
    calls_.Send(comm, leaving->As<void>(), n, kFormatOf<T>, next, stream);
    calls_.Receive(comm, arriving->As<void>(), n, kFormatOf<T>, previous, stream);
    together.End();
  });
  CopyColumns<T>(rows, width, {arriving.get(), 0, width}, {o.out.at(0), to - width, to});
}

/// body(first row of `member`'s part of all rows gathered, rows, first row in (B, S)) for every run of its positions.
template <class Body>
void DeviceRank::ForEachRunOf(int member, Index rows, Body body) const {
  const Positions positions(scenario_.model, scenario_.strategy, member);
  positions.ForEachRun(0, rows, [&](Index row, Index length, Index sequence, Index position) {
    body(member * rows + row, length, sequence * positions.Whole() + position);
  });
}

/// Keys and values of all positions, in their order: (B, S, 2 K D).
template <class T>
void DeviceRank::GatherKeys(const Operands& o) {
  const Comm& comm = *CommOf(Group::kContext);
  const Index rows = o.InBuffer(0).shape.front(), width = ColumnsOf(o.OutBuffer(0)), pitch = ColumnsOf(o.InBuffer(0));
  const Index n = rows * width * comm.Size();
  const Handle own = Workspace<T>(rows * width, "own keys"), all = Workspace<T>(n, "keys of all ranks");
  CopyColumns<T>(rows, width, {o.in.at(0), pitch - width, pitch}, {own.get(), 0, width});
  Enqueue(o.op->stream, {own.get()}, {all.get()},
          [&](Stream stream) { calls_.AllGather(comm, own->As<void>(), all->As<void>(), n, kFormatOf<T>, stream); });
  for (int member = 0; member < comm.Size(); ++member) {
    ForEachRunOf(member, rows, [&](Index gathered, Index length, Index whole) {
      CopyColumns<T>(1, length * width, {all.get(), gathered * width, 0}, {o.out.at(0), whole * width, 0});
    });
  }
}

/// The gradients of gathered keys and values, added up where their positions live.
template <class T>
void DeviceRank::ScatterKeys(const Operands& o) {
  const Comm& comm = *CommOf(Group::kContext);
  const Index rows = o.OutBuffer(0).shape.front(), width = ColumnsOf(o.InBuffer(0)), pitch = ColumnsOf(o.OutBuffer(0));
  const Index n = rows * width * comm.Size();
  const Handle own = Workspace<T>(rows * width, "own keys"), all = Workspace<T>(n, "keys of all ranks");
  for (int member = 0; member < comm.Size(); ++member) {
    ForEachRunOf(member, rows, [&](Index gathered, Index length, Index whole) {
      CopyColumns<T>(1, length * width, {o.in.at(0), whole * width, 0}, {all.get(), gathered * width, 0});
    });
  }
  Enqueue(o.op->stream, {all.get()}, {own.get()}, [&](Stream stream) {
    calls_.ReduceScatter(comm, all->As<void>(), own->As<void>(), n, kFormatOf<T>, stream);
  });
  CopyColumns<T>(rows, width, {own.get(), 0, width}, {o.out.at(0), pitch - width, pitch});
}

/// Ulysses: from all heads of this rank's positions to some heads of all positions, or back. Packed rows have three
/// sections of heads (queries, keys, values), results one.
template <class T>
void DeviceRank::ExchangeHeads(const Operands& o) {
  const Comm& comm = *CommOf(Group::kContext);
  const plan::Model& model = scenario_.model;
  const Index n = comm.Size(), S = positions_.Local(), B = scenario_.batch.microbatch, rows = B * S;
  const bool to_heads = o.InBuffer(0).shape.front() < o.OutBuffer(0).shape.front();
  const Index columns = ColumnsOf(to_heads ? o.InBuffer(0) : o.OutBuffer(0)), part = columns / n, dense = rows * part;
  const std::vector<Index> sections = HeadSections(model, plan_.layout.tp, o.op->name, columns);
  const Handle leaving = Workspace<T>(n * dense, "heads that leave"),
               arriving = Workspace<T>(n * dense, "heads that arrive");
  // Columns of one member, section by section, between whole rows and a dense part.
  const auto cut = [&](Index member, Block* whole, Block* parts, bool pack) {
    Index at = 0, within = 0;
    for (const Index section : sections) {
      const Index width = section / n;
      const Columns a{whole, at + member * width, columns}, b{parts, member * dense + within, part};
      pack ? CopyColumns<T>(rows, width, a, b) : CopyColumns<T>(rows, width, b, a);
      at += section;
      within += width;
    }
  };
  // Rows of one member's positions, between (B, S whole) and a dense part.
  const auto place = [&](Index member, Block* whole, Block* parts, bool pack) {
    const Index run = S * part;
    const Columns a{whole, member * run, n * run}, b{parts, member * dense, run};
    pack ? CopyColumns<T>(B, run, a, b) : CopyColumns<T>(B, run, b, a);
  };
  for (Index m = 0; m < n; ++m)
    to_heads ? cut(m, o.in.at(0), leaving.get(), true) : place(m, o.in.at(0), leaving.get(), true);
  const std::vector<Index> counts(static_cast<std::size_t>(n), dense);
  AllToAll<T>(o.op->stream, Group::kContext, counts, counts, leaving.get(), arriving.get());
  for (Index m = 0; m < n; ++m)
    to_heads ? place(m, o.out.at(0), arriving.get(), false) : cut(m, o.out.at(0), arriving.get(), false);
}

/// sent[i] numbers to member i, one after another in `from`, and received[i] from it into `to`. What stays is copied.
template <class T>
void DeviceRank::AllToAll(plan::Stream stream, Group group, const std::vector<Index>& sent,
                          const std::vector<Index>& received, Block* from, Block* to) {
  const Comm* comm = CommOf(group);
  const auto mine = static_cast<std::size_t>(comm != nullptr ? comm->index : 0);
  Enqueue(stream, {from}, {to}, [&](Stream on) {
    std::optional<HeldGroup> together;
    if (comm != nullptr) together.emplace(calls_);
    const T *leaves = from->As<T>(), *stays = nullptr;
    T *arrives = to->As<T>(), *kept = nullptr;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const int peer = static_cast<int>(i);
      if (i == mine) stays = leaves, kept = arrives;
      if (i != mine && sent[i] > 0) calls_.Send(*comm, leaves, sent[i], kFormatOf<T>, peer, on);
      if (i != mine && received[i] > 0) calls_.Receive(*comm, arrives, received[i], kFormatOf<T>, peer, on);
      leaves += sent[i];
      arrives += received[i];
    }
    if (together) together->End();
    if (sent[mine] > 0) calls_.Copy(kept, stays, static_cast<std::size_t>(sent[mine]) * sizeof(T), on);
  });
}

template <class T>
void DeviceRank::RunContextCollective(const plan::Collective& c, const Operands& o) {
  switch (c.kind) {
    case plan::CollectiveKind::kRing:
      return PassOn<T>(o);
    case plan::CollectiveKind::kAllGather:
      return GatherKeys<T>(o);
    case plan::CollectiveKind::kReduceScatter:
      return ScatterKeys<T>(o);
    case plan::CollectiveKind::kAllToAll:
      return ExchangeHeads<T>(o);
    case plan::CollectiveKind::kAllReduce:
    case plan::CollectiveKind::kBroadcast:
      break;
  }
  Missing(o, std::string("the collective ") + plan::NameOf(c.kind) + " over context ranks");
}

// ---- attention ------------------------------------------------------------------------------------------------------

/// Keys and values in blocks of memory: `pitch` numbers between positions, `positions` of each sequence.
struct DeviceRank::Keys {
  Block* block;
  Index key_at, value_at, pitch, positions;
};

template <class T>
void DeviceRank::RunContextAttention(const plan::Attention& a, const Operands& o) {
  ISO_CHECK(a.window == 0);  // executor/supported.h
  const PackedHeads heads = HeadsOf(a);
  const bool ring = scenario_.strategy.context_form == plan::ContextForm::kRing;
  const AttentionArea area = AreaOf(*o.op, scenario_.model, scenario_.strategy, positions_, o.rows.context_rank);
  const Index S = positions_.Local(), whole = ring ? S : positions_.Whole();
  const Keys own{o.in.at(a.pass == plan::Pass::kForward ? 0 : 1), heads.KeyAt(), heads.ValueAt(), heads.Packed(), S};
  const auto block = [&](Block* b) { return Keys{b, 0, heads.key * heads.size, heads.PackedKeys(), whole}; };
  if (a.pass == plan::Pass::kForward) return AttendForward<T>(a, o, area, o.in.size() == 1 ? own : block(o.in.at(1)));
  if (o.in.size() > 4) return AttendBackward<T>(a, o, area, block(o.in.at(4)), block(o.out.at(1)));
  // The kernel gives keys and their gradients one pitch: the rank's own are copied out of the packed rows.
  const Index rows = a.batch * S, width = heads.PackedKeys();
  const Handle copy = Workspace<T>(rows * width, "own keys");
  CopyColumns<T>(rows, width, {own.block, heads.KeyAt(), heads.Packed()}, {copy.get(), 0, width});
  AttendBackward<T>(a, o, area, block(copy.get()), block(o.out.at(1)));
}

template <class T>
void DeviceRank::AttendForward(const plan::Attention& a, const Operands& o, const AttentionArea& area, const Keys& k) {
  const PackedHeads heads = HeadsOf(a);
  const Index S = positions_.Local(), packed = heads.Packed(), row = heads.query * heads.size, batch = a.batch;
  const kernels::AttentionShape shape = heads.Shape(1, area.queries, area.keys, k.pitch);
  const float scale = AttentionScale(a.qk_dim);
  const T *qkv = o.In<T>(0), *keys = k.block->As<T>() + k.key_at, *values = k.block->As<T>() + k.value_at;
  T* out = o.Out<T>(0);
  float* lse = o.Out<float>(1);
  const Index unseeing = area.first_query, pitch = k.pitch, positions = k.positions;
  const bool ring = scenario_.strategy.context_form == plan::ContextForm::kRing;
  const kernels::AttentionShape none = heads.Shape(1, unseeing, area.keys, k.pitch);
  const kernels::AttentionMask nothing{.causal = true, .first_key = S};
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    for (Index b = 0; b < batch; ++b) {
      const Index first = b * S, q = first + area.first_query, at = (b * positions + area.first_key) * pitch;
      if (ring && unseeing > 0) {  // queries that see nothing of this block
        on_device::Attention<T>(s, none, nothing, scale, qkv + first * packed, keys + at, values + at,
                                out + first * row, lse + first * heads.query);
      }
      on_device::Attention<T>(s, shape, area.mask, scale, qkv + q * packed, keys + at, values + at, out + q * row,
                              lse + q * heads.query);
    }
  });
}

template <class T>
void DeviceRank::AttendBackward(const plan::Attention& a, const Operands& o, const AttentionArea& area, const Keys& k,
                                const Keys& dk) {
  const PackedHeads heads = HeadsOf(a);
  const Index S = positions_.Local(), packed = heads.Packed(), row = heads.query * heads.size, batch = a.batch;
  const Sums dqkv = SumsOf<T>(o, 0, batch * S * packed), dblock = SumsOf<T>(o, 1, batch * dk.positions * dk.pitch);
  const Handle delta = Workspace<float>(area.queries * heads.query, "attention's deltas");
  const kernels::AttentionShape shape = heads.Shape(1, area.queries, area.keys, k.pitch);
  const float scale = AttentionScale(a.qk_dim);
  const T *dout = o.In<T>(0), *qkv = o.In<T>(1), *out = o.In<T>(2);
  const T *keys = k.block->As<T>() + k.key_at, *values = k.block->As<T>() + k.value_at;
  const float* lse = o.In<float>(3);
  float *dq = dqkv.Data(), *dkeys = dblock.Data() + dk.key_at, *dvalues = dblock.Data() + dk.value_at,
        *deltas = delta->As<float>();
  std::vector<Block*> reads = o.in;
  reads.push_back(k.block);
  const Index pitch = k.pitch, positions = k.positions;
  RunKernels(o.op->name, reads, {dqkv.block, dblock.block, delta.get()}, [=](Stream s) {
    for (Index b = 0; b < batch; ++b) {
      const Index q = b * S + area.first_query, at = (b * positions + area.first_key) * pitch;
      on_device::AttentionBackward<T>(s, shape, area.mask, scale, qkv + q * packed, keys + at, values + at,
                                      out + q * row, lse + q * heads.query, dout + q * row, dq + q * packed, dkeys + at,
                                      dvalues + at, deltas);
    }
  });
  RoundSums<T>(o, 0, dqkv);
  RoundSums<T>(o, 1, dblock);
}

/// Two partial results become one: in = out, part, lse, part_lse.
template <class T>
void DeviceRank::MergeResults(const Operands& o) {
  const Index D = scenario_.model.head_dim, rows = static_cast<Index>(o.InBuffer(0).Elements()) / D;
  CopyOn(o.out.at(0), o.in.at(0), static_cast<std::size_t>(rows * D) * sizeof(T));
  CopyOn(o.out.at(1), o.in.at(2), static_cast<std::size_t>(rows) * sizeof(float));
  T* out = o.Out<T>(0);
  float* lse = o.Out<float>(1);
  const T* part = o.In<T>(1);
  const float* part_lse = o.In<float>(3);
  RunKernels(o.op->name, {o.in.at(1), o.in.at(3)}, o.out,
             [=](Stream s) { on_device::MergeAttention<T>(s, rows, D, out, lse, part, part_lse); });
}

#define ISO_CONTEXT(T)                                                                                             \
  template void DeviceRank::AllToAll<T>(plan::Stream, Group, const std::vector<Index>&, const std::vector<Index>&, \
                                        Block*, Block*);                                                           \
  template void DeviceRank::RunContextCollective<T>(const plan::Collective&, const Operands&);                     \
  template void DeviceRank::RunContextAttention<T>(const plan::Attention&, const Operands&);                       \
  template void DeviceRank::MergeResults<T>(const Operands&);
ISO_CONTEXT(float)
ISO_CONTEXT(kernels::Bf16)
ISO_CONTEXT(kernels::Fp16)

}  // namespace isochrone::executor::cuda
