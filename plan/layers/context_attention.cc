// Attention over context ranks, each of which holds S / cp positions.
#include <algorithm>

#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

/// What all ops of one exchange share.
struct Cut {
  const LayerContext& c;
  CoreHeads heads;
  int qkv;
  std::int64_t ranks, positions, rows;

  Cut(const Tape& tape, int packed, const CoreHeads& of)
      : c(tape.context()), heads(of), qkv(packed), ranks(c.layout.cp), positions(c.positions), rows(c.Tokens()) {}

  Attention Of(std::int64_t queries, std::int64_t keys, bool causal) const {
    return {.batch = c.sequences,
            .heads = heads.query,
            .kv_heads = heads.key_value,
            .queries = queries,
            .keys = keys,
            .qk_dim = heads.qk,
            .v_dim = heads.value,
            .causal = causal,
            .window = c.windowed ? c.model->window : 0,
            .dtype = c.storage};
  }
  Bytes Keys() const { return static_cast<double>(rows * heads.PackedKeys()) * SizeOf(c.storage); }
  Collective Over(CollectiveKind kind, Bytes bytes) const {
    return {.kind = kind, .group = Group::kContext, .bytes = bytes, .dtype = c.storage};
  }
  int Result(Tape& tape, const std::string& name) const {
    return tape.Activation(name, {rows, heads.query * heads.value}, c.storage);
  }
  int LogSumExp(Tape& tape, const std::string& name) const {
    return tape.Activation(name, {c.sequences, heads.query, positions}, Dtype::kFp32, true);
  }
};

Attention Backward(Attention op) {
  op.pass = Pass::kBackward;
  return op;
}

/// The model's work is every query against every key of the sequence, however the ranks share it.
void CountWhole(Tape& tape, const Cut& cut, const std::vector<Attention>& ops) {
  const auto flops = [](const Attention& a) {
    return MatrixFlopsOf({.name = {}, .kind = a, .in = {}, .out = {}, .after = {}}, true);
  };
  Flops missing = flops(cut.Of(cut.positions, cut.positions * cut.ranks, false));
  for (const Attention& op : ops) missing += -1.0 * flops(op);
  tape.AddModelFlops(missing);
}

// ---- ring -----------------------------------------------------------------------------------------------------------

/// Attention of step `step`: a triangle over the rank's own keys, then half a square against each other rank's.
Attention RingStep(const Cut& cut, std::int64_t step) {
  const bool causal = cut.c.model->causal;
  return cut.Of(cut.positions, step > 0 && causal ? cut.positions / 2 : cut.positions, step == 0 && causal);
}

std::string Numbered(const std::string& name, std::int64_t step) { return name + "." + std::to_string(step); }

/// Passes keys and values on: what arrived last leaves for the next rank. Returns the buffer of what arrives.
template <class Emit>
int PassOn(Tape& tape, const Cut& cut, const std::string& name, int from, Emit emit) {
  const int to = tape.Activation(name, {cut.rows, cut.heads.PackedKeys()}, cut.c.storage);
  emit(Op{.name = name,
          .stream = Stream::kContext,
          .kind = cut.Over(CollectiveKind::kRing, cut.Keys()),
          .in = {from},
          .out = {to},
          .after = {}});
  return to;
}

void RingBackward(Tape& tape, const Cut& cut, int dout, int out, int lse) {
  const int dqkv = tape.NewGradient(cut.qkv, ".attention");
  const auto emit = [&](Op op) { tape.EmitInputGradient(std::move(op)); };
  int keys = cut.qkv, gradient = -1;
  for (std::int64_t step = 0; step < cut.ranks; ++step) {
    if (step > 0) keys = PassOn(tape, cut, Numbered("ring_again", step), keys, emit);
    std::vector<int> in = {dout, cut.qkv, out, lse}, results = {dqkv};
    if (step > 0) in.push_back(keys);
    const int dkeys = tape.Activation(Numbered("d_keys", step), {cut.rows, cut.heads.PackedKeys()}, cut.c.storage);
    results.push_back(dkeys);
    emit({.name = Numbered("attention", step),
          .kind = Backward(RingStep(cut, step)),
          .in = in,
          .out = results,
          .after = {}});
    // The gradients of a block travel on with it and gain each rank's part; the last hop brings them home.
    std::vector<int> travelling = {dkeys};
    if (gradient >= 0) travelling.push_back(gradient);
    const bool home = step + 1 == cut.ranks;
    const int to =
        home ? dqkv
             : tape.Activation(Numbered("ring_gradient", step), {cut.rows, cut.heads.PackedKeys()}, cut.c.storage);
    emit({.name = Numbered("ring_gradient", step),
          .stream = Stream::kContext,
          .kind = cut.Over(CollectiveKind::kRing, cut.Keys()),
          .in = travelling,
          .out = {to},
          .after = {}});
    gradient = to;
  }
  tape.AddGradient(cut.qkv, dqkv);
}

int Ring(Tape& tape, const Cut& cut) {
  int out = -1, lse = -1, keys = cut.qkv;
  std::vector<Attention> steps;
  for (std::int64_t step = 0; step < cut.ranks; ++step) {
    const bool last = step + 1 == cut.ranks;
    if (step > 0)
      keys = PassOn(tape, cut, Numbered("ring", step), keys, [&](Op op) { tape.Record(std::move(op), nullptr); });
    const int part = cut.Result(tape, Numbered("attention_part", step));
    const int part_lse = cut.LogSumExp(tape, Numbered("log_sum_exp_part", step));
    steps.push_back(RingStep(cut, step));
    std::vector<int> in = {cut.qkv};
    if (step > 0) in.push_back(keys);
    tape.Record(
        {.name = Numbered("attention", step), .kind = steps.back(), .in = in, .out = {part, part_lse}, .after = {}},
        nullptr);
    if (step == 0) {
      out = part;
      lse = part_lse;
      continue;
    }
    // o = Σ o_i exp(lse_i − lse): two partial results become one.
    const int merged = cut.Result(tape, last ? "attention" : Numbered("attention_merged", step));
    const int merged_lse = cut.LogSumExp(tape, last ? "log_sum_exp" : Numbered("log_sum_exp_merged", step));
    const Bytes size = tape.At(merged).Size();
    const Elementwise merge{.kind = ElementwiseKind::kAdd,
                            .rows = cut.rows,
                            .columns = tape.At(merged).shape.back(),
                            .read = 2 * size,
                            .written = size,
                            .flops_per_element = 4};
    std::function<void(Tape::Gradient)> backward;
    if (last) {
      backward = [=](Tape::Gradient g) { RingBackward(*g.tape, cut, g.of_output, merged, merged_lse); };
    }
    tape.Record({.name = Numbered("attention_merge", step),
                 .kind = merge,
                 .in = {out, part, lse, part_lse},
                 .out = {merged, merged_lse},
                 .after = {}},
                std::move(backward));
    out = merged;
    lse = merged_lse;
  }
  CountWhole(tape, cut, steps);
  return out;
}

// ---- all-gather -----------------------------------------------------------------------------------------------------

/// One op without a mask. With one, an op for the early piece of the rank's positions and one for the late piece, as
/// the first rank has them; every rank's two areas add up to the same. With a window the first rank's early piece sees
/// less than the others', which set the pace: every query of theirs sees a full window.
std::vector<Attention> Pieces(const Cut& cut) {
  const std::int64_t all = cut.positions * cut.ranks, piece = cut.positions / 2;
  if (!cut.c.model->causal) return {cut.Of(cut.positions, all, false)};
  if (cut.c.windowed) return {cut.Of(piece, all, true), cut.Of(piece, all, true)};
  return {cut.Of(piece, piece, true), cut.Of(piece, all, true)};
}

int AllGather(Tape& tape, const Cut& cut) {
  const std::vector<Attention> pieces = Pieces(cut);
  const std::vector<std::int64_t> whole = {cut.rows * cut.ranks, cut.heads.PackedKeys()};
  const Bytes bytes = static_cast<double>(cut.ranks) * cut.Keys();
  const int keys = tape.Activation("keys_gathered", whole, cut.c.storage);
  const auto gather = [=](int to) {
    return Op{.name = "keys_gather",
              .stream = Stream::kContext,
              .kind = cut.Over(CollectiveKind::kAllGather, bytes),
              .in = {cut.qkv},
              .out = {to},
              .after = {}};
  };
  tape.Record(gather(keys), nullptr);
  const int out = cut.Result(tape, "attention"), lse = cut.LogSumExp(tape, "log_sum_exp");
  const auto backward = [=](Tape::Gradient g) {
    const int again = g.tape->Activation("keys_gathered.again", whole, cut.c.storage);
    const int dkeys = g.tape->Activation("d_keys_gathered", whole, cut.c.storage);
    const int dqkv = g.tape->NewGradient(cut.qkv, ".attention");
    g.tape->EmitInputGradient(gather(again));
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      g.tape->EmitInputGradient({.name = Numbered("attention", static_cast<std::int64_t>(i)),
                                 .kind = Backward(pieces[i]),
                                 .in = {g.of_output, cut.qkv, out, lse, again},
                                 .out = {dqkv, dkeys},
                                 .after = {}});
    }
    g.tape->EmitInputGradient({.name = "keys_reduce",
                               .stream = Stream::kContext,
                               .kind = cut.Over(CollectiveKind::kReduceScatter, bytes),
                               .in = {dkeys},
                               .out = {dqkv},
                               .after = {}});
    g.tape->AddGradient(cut.qkv, dqkv);
  };
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    tape.Record({.name = Numbered("attention", static_cast<std::int64_t>(i)),
                 .kind = pieces[i],
                 .in = {cut.qkv, keys},
                 .out = {out, lse},
                 .after = {}},
                i + 1 == pieces.size() ? std::function<void(Tape::Gradient)>(backward) : nullptr);
  }
  CountWhole(tape, cut, pieces);
  return out;
}

// ---- Ulysses --------------------------------------------------------------------------------------------------------

int Ulysses(Tape& tape, const Cut& cut) {
  const auto share = [&](std::int64_t heads) { return std::max<std::int64_t>(1, heads / cut.ranks); };
  const CoreHeads mine{share(cut.heads.query), share(cut.heads.key_value), cut.heads.qk, cut.heads.value};
  const int whole =
      tape.Communicate("heads_exchange", Group::kContext, CollectiveKind::kAllToAll, CollectiveKind::kAllToAll, cut.qkv,
                       {cut.rows * cut.ranks, mine.Packed()}, tape.At(cut.qkv).Size());
  const int attended = WholeAttention(tape, whole, mine, cut.positions * cut.ranks);
  return tape.Communicate("positions_exchange", Group::kContext, CollectiveKind::kAllToAll, CollectiveKind::kAllToAll,
                          attended, {cut.rows, cut.heads.query * cut.heads.value}, tape.At(attended).Size());
}

}  // namespace

int ContextAttention(Tape& tape, int qkv, const CoreHeads& heads) {
  const Cut cut(tape, qkv, heads);
  switch (tape.context().strategy->context_form) {
    case ContextForm::kRing:
      return Ring(tape, cut);
    case ContextForm::kAllGather:
      return AllGather(tape, cut);
    case ContextForm::kUlysses:
      return Ulysses(tape, cut);
  }
  return -1;
}

}  // namespace isochrone::plan
