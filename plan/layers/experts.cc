// A mixture of experts with its residual: norm → router → dispatch → experts → return → add, shared experts beside.
#include <cmath>
#include <variant>

#include "plan/expert_load.h"
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

std::int64_t Whole(double rows) { return static_cast<std::int64_t>(std::ceil(rows - 1e-6)); }

/// Choice and weight of each token's experts.
struct Routed {
  int probabilities, choice;
};

Routed RouterOf(Tape& tape, int tokens, bool cut) {
  const Model& m = *tape.context().model;
  const std::int64_t rows = tape.At(tokens).shape.front();
  const int weight = tape.ReplicatedParameter("router.weight", {m.moe->experts, m.hidden}, cut);
  const int scores = tape.Linear("router", tokens, weight, -1, false);
  const Routed routed{tape.Activation("expert_probabilities", {rows, m.moe->topk}, Dtype::kFp32),
                      tape.Activation("expert_choice", {rows, m.moe->topk}, Dtype::kInt32, true)};
  const Route op{.tokens = rows, .experts = m.moe->experts, .topk = m.moe->topk};
  tape.Record(
      {.name = "route", .kind = op, .in = {scores}, .out = {routed.probabilities, routed.choice}, .after = {}},
      [=](Tape::Gradient g) {
        Route back = op;
        back.pass = Pass::kBackward;
        const int dscores = g.tape->NewGradient(scores);
        g.tape->EmitInputGradient(
            {.name = "route", .kind = back, .in = {g.of_output, scores, routed.choice}, .out = {dscores}, .after = {}});
        g.tape->AddGradient(scores, dscores);
      });
  return routed;
}

Permute Moved(const Tape& tape, double rows, bool restore) {
  const Model& m = *tape.context().model;
  return {.restore = restore, .rows = rows, .hidden = m.hidden, .topk = m.moe->topk, .dtype = tape.context().storage};
}

OpKind Back(OpKind kind) {
  if (auto* move = std::get_if<Permute>(&kind)) move->pass = Pass::kBackward;
  return kind;
}

/// Rows on their way to the experts, each with its router's weight.
struct Rows {
  int x, weights;
};

/// One op that moves rows and weights together, and their gradients back. `choice` ≥ 0: the op reads it.
Rows Move(Tape& tape, const std::string& name, Stream stream, const OpKind& forward, OpKind backward, const Rows& from,
          std::int64_t rows, int choice = -1) {
  const LayerContext& c = tape.context();
  const Rows to{tape.Activation(name, {rows, c.model->hidden}, c.storage),
                tape.Activation(name + ".weights", {rows}, Dtype::kFp32)};
  std::vector<int> in = {from.x, from.weights};
  if (choice >= 0) in.push_back(choice);
  tape.Record(
      {.name = name, .stream = stream, .kind = forward, .in = in, .out = {to.x, to.weights}, .after = {}},
      [=](Tape::Gradient g) {
        const int dx = g.tape->NewGradient(from.x, "." + name);
        const int dweights = g.tape->NewGradient(from.weights, "." + name);
        std::vector<int> operands = {g.of_output, g.tape->GradientOf(to.weights)};
        if (choice >= 0) operands.push_back(choice);
        g.tape->EmitInputGradient(
            {.name = name, .stream = stream, .kind = backward, .in = operands, .out = {dx, dweights}, .after = {}});
        g.tape->AddGradient(from.x, dx);
        g.tape->AddGradient(from.weights, dweights);
      });
  return to;
}

/// What the kernels beside the exchange move. A token that travels once per rank is put in the buffer by the exchange
/// itself, and copied for each of its experts on arrival. Source  DeepEP and HybridEP (deepseek-ai/DeepEP).
struct Moves {
  double leaving, arriving;  // rows read and written once each
};
Moves MovesOf(const LayerContext& c, const ExpertRows& load) {
  if (c.strategy->expert_dispatch == ExpertDispatch::kEveryCopy || c.layout.ep == 1) return {load.sent, load.held};
  const double arrived = load.travelling * load.held / load.sent;
  return {0, (arrived + load.held) / 2};
}

/// Rows of every (token, expert) pair in expert order, on the ranks that hold the experts. (rows held, H)
Rows Dispatch(Tape& tape, int tokens, const Routed& routed, const ExpertRows& load) {
  const LayerContext& c = tape.context();
  const std::int64_t held = Whole(load.held), etp = c.layout.etp;
  const double row = static_cast<double>(c.model->hidden) * SizeOf(c.storage).value + SizeOf(Dtype::kFp32).value;
  const Moves moves = MovesOf(c, load);
  const OpKind out = Moved(tape, moves.leaving, false), sort = Moved(tape, moves.arriving, false);
  Rows at = Move(tape, "dispatch", Stream::kCompute, out, Back(out), {tokens, routed.probabilities}, Whole(load.sent),
                 routed.choice);
  if (c.layout.ep > 1) {
    const Collective exchange{.kind = CollectiveKind::kAllToAll,
                              .group = Group::kExpert,
                              .bytes = Bytes(load.travelling * row),
                              .dtype = c.storage,
                              .imbalance = load.imbalance};
    at = Move(tape, "dispatch_exchange", Stream::kExpert, exchange, exchange, at, held / etp);
  }
  if (etp > 1) {
    Collective gather{.kind = CollectiveKind::kAllGather,
                      .group = Group::kExpertTensor,
                      .bytes = Bytes(load.held * row),
                      .dtype = c.storage};
    Collective scatter = gather;
    scatter.kind = CollectiveKind::kReduceScatter;
    at = Move(tape, "dispatch_gather", Stream::kTensor, gather, scatter, at, held);
  }
  // What comes from several ranks is sorted by expert once more.
  if (c.layout.ep * etp > 1 && c.model->moe->experts > c.layout.ep) {
    at = Move(tape, "dispatch_sort", Stream::kCompute, sort, Back(sort), at, held);
  }
  return at;
}

/// The way back, each token the sum of its experts' rows. (T', H)
int Return(Tape& tape, int x, const Routed& routed, const ExpertRows& load, std::int64_t tokens) {
  const LayerContext& c = tape.context();
  const std::int64_t hidden = c.model->hidden, held = Whole(load.held), sent = Whole(load.sent), etp = c.layout.etp;
  const Moves moves = MovesOf(c, load);
  if (c.layout.ep * etp > 1 && c.model->moe->experts > c.layout.ep) {
    const OpKind sort = Moved(tape, moves.arriving, false);
    x = tape.Apply("return_sort", sort, Back(sort), {x}, {}, {held, hidden});
  }
  if (etp > 1) {
    x = tape.Communicate("return_reduce", Group::kExpertTensor, CollectiveKind::kReduceScatter,
                         CollectiveKind::kAllGather, x, {held / etp, hidden}, tape.At(x).Size());
  }
  if (c.layout.ep > 1) {
    const Bytes bytes = load.travelling * static_cast<double>(hidden) * SizeOf(c.storage);
    x = tape.Communicate("return_exchange", Group::kExpert, CollectiveKind::kAllToAll, CollectiveKind::kAllToAll, x,
                         {sent, hidden}, bytes, load.imbalance);
  }
  const OpKind restore = Moved(tape, moves.leaving, true);
  return tape.Apply("combine", restore, Back(restore), {x, routed.choice}, {routed.choice}, {tokens, hidden});
}

/// The activation times each row's weight, so that what the experts give back need not be kept for the router.
int Weighted(Tape& tape, int up, int weights, ElementwiseKind kind, std::int64_t width) {
  const std::int64_t rows = tape.At(up).shape.front();
  const Bytes written = static_cast<double>(rows * width) * SizeOf(tape.context().storage);
  Elementwise forward{.kind = kind,
                      .rows = rows,
                      .columns = width,
                      .read = tape.At(up).Size(),
                      .written = written,
                      .flops_per_element = 9};
  Elementwise backward = forward;
  backward.pass = Pass::kBackward;
  backward.read = forward.read + written;
  backward.written = forward.read;
  return tape.Apply("experts.activation", forward, backward, {up, weights}, {up, weights}, {rows, width});
}

int ExpertProducts(Tape& tape, const Rows& at, const ExpertRows& load) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const auto [kind, gated] = ActivationOf(m);
  const std::int64_t experts = m.moe->experts / c.layout.ep, width = m.moe->ffn / c.layout.etp;
  const Tape::GroupRows rows{load.multiplied, load.fullest, load.useful};
  const int up = tape.Parameter("experts.fc1.weight", {experts, gated ? 2 * width : width, m.hidden}, 1, true);
  const int down = tape.Parameter("experts.fc2.weight", {experts, m.hidden, width}, 2, true);
  // No kernel adds a bias of each expert.
  const ElementwiseKind plain = kind == ElementwiseKind::kBiasGelu ? ElementwiseKind::kGelu : kind;
  const int activated = Weighted(tape, tape.Grouped("experts.fc1", at.x, up, rows), at.weights, plain, width);
  return tape.Grouped("experts.fc2", activated, down, rows);
}

}  // namespace

int ExpertPart(Tape& tape, int x) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const bool cut = c.layout.tp > 1 && !c.SequenceParallel();  // each tensor rank dispatches its share of the rows
  const int normed = tape.Norm("mlp_norm", x);
  const int tokens = cut ? tape.CutRows("router_cut", normed) : normed;
  const std::int64_t rows = tape.At(tokens).shape.front();
  const ExpertRows load = ExpertRowsOf(*m.moe, *c.strategy, static_cast<double>(rows));
  const Routed routed = RouterOf(tape, tokens, cut);
  int y = Return(tape, ExpertProducts(tape, Dispatch(tape, tokens, routed, load), load), routed, load, rows);
  if (cut) y = tape.GatherRows("combine_gather", y);
  if (m.moe->shared_experts > 0) {
    y = tape.DropoutAdd("shared_add", MlpBody(tape, "shared.", normed, m.moe->shared_ffn), y);
  }
  return tape.DropoutAdd("mlp_add", y, x);
}

}  // namespace isochrone::plan
