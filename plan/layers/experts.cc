// A mixture of experts with its residual: norm → router → dispatch → experts → return → add, shared experts beside.
#include <cmath>

#include "plan/expert_load.h"
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

std::int64_t Whole(double rows) { return static_cast<std::int64_t>(std::ceil(rows - 1e-6)); }

/// Choice and weight of each token's experts.
struct Routed {
  int probabilities, choice;
};

Routed RouterOf(Tape& tape, int tokens) {
  const Model& m = *tape.context().model;
  const std::int64_t rows = tape.At(tokens).shape.front();
  const int weight = tape.ReplicatedParameter("router.weight", {m.moe->experts, m.hidden});
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

Permute Moved(const Tape& tape, double rows, bool restore, Pass pass) {
  const Model& m = *tape.context().model;
  return {.pass = pass,
          .restore = restore,
          .rows = rows,
          .hidden = m.hidden,
          .topk = m.moe->topk,
          .dtype = tape.context().storage};
}

/// Rows of every (token, expert) pair in expert order, on the ranks that hold the experts. (rows held, H)
int Dispatch(Tape& tape, int tokens, const Routed& routed, const ExpertRows& load) {
  const LayerContext& c = tape.context();
  const std::int64_t hidden = c.model->hidden, held = Whole(load.held), etp = c.layout.etp;
  int x = tape.Apply("dispatch", Moved(tape, load.sent, false, Pass::kForward),
                     Moved(tape, load.sent, false, Pass::kBackward), {tokens, routed.choice}, {routed.choice},
                     {Whole(load.sent), hidden});
  if (c.layout.ep > 1) {
    x = tape.Communicate("dispatch_exchange", Group::kExpert, CollectiveKind::kAllToAll, CollectiveKind::kAllToAll, x,
                         {held / etp, hidden}, tape.At(x).Size(), load.imbalance);
  }
  if (etp > 1) {
    const Bytes whole = static_cast<double>(held * hidden) * SizeOf(c.storage);
    x = tape.Communicate("dispatch_gather", Group::kExpertTensor, CollectiveKind::kAllGather,
                         CollectiveKind::kReduceScatter, x, {held, hidden}, whole);
  }
  // What comes from several ranks is sorted by expert once more.
  if (c.layout.ep * etp > 1 && c.model->moe->experts > c.layout.ep) {
    x = tape.Apply("dispatch_sort", Moved(tape, load.held, false, Pass::kForward),
                   Moved(tape, load.held, false, Pass::kBackward), {x}, {}, {held, hidden});
  }
  return x;
}

/// The way back, each token the weighted sum of its experts' rows. (T', H)
int Return(Tape& tape, int x, const Routed& routed, const ExpertRows& load, std::int64_t tokens) {
  const LayerContext& c = tape.context();
  const std::int64_t hidden = c.model->hidden, held = Whole(load.held), sent = Whole(load.sent), etp = c.layout.etp;
  if (c.layout.ep * etp > 1 && c.model->moe->experts > c.layout.ep) {
    x = tape.Apply("return_sort", Moved(tape, load.held, false, Pass::kForward),
                   Moved(tape, load.held, false, Pass::kBackward), {x}, {}, {held, hidden});
  }
  if (etp > 1) {
    x = tape.Communicate("return_reduce", Group::kExpertTensor, CollectiveKind::kReduceScatter,
                         CollectiveKind::kAllGather, x, {held / etp, hidden}, tape.At(x).Size());
  }
  if (c.layout.ep > 1) {
    const Bytes bytes = static_cast<double>(sent * hidden) * SizeOf(c.storage);
    x = tape.Communicate("return_exchange", Group::kExpert, CollectiveKind::kAllToAll, CollectiveKind::kAllToAll, x,
                         {sent, hidden}, bytes, load.imbalance);
  }
  return tape.Apply("combine", Moved(tape, load.sent, true, Pass::kForward),
                    Moved(tape, load.sent, true, Pass::kBackward), {x, routed.probabilities, routed.choice},
                    {x, routed.probabilities, routed.choice}, {tokens, hidden});
}

int ExpertProducts(Tape& tape, int x, const ExpertRows& load) {
  const LayerContext& c = tape.context();
  const Model& m = *c.model;
  const auto [kind, gated] = ActivationOf(m);
  const std::int64_t experts = m.moe->experts / c.layout.ep, width = m.moe->ffn / c.layout.etp;
  const Tape::GroupRows rows{load.multiplied, load.fullest, load.useful};
  const int up = tape.Parameter("experts.fc1.weight", {experts, gated ? 2 * width : width, m.hidden}, 1, true);
  const int down = tape.Parameter("experts.fc2.weight", {experts, m.hidden, width}, 2, true);
  const std::int64_t held = tape.At(x).shape.front();
  // No kernel adds a bias of each expert.
  const ElementwiseKind plain = kind == ElementwiseKind::kBiasGelu ? ElementwiseKind::kGelu : kind;
  const int activated =
      tape.Elementwise1("experts.activation", plain, tape.Grouped("experts.fc1", x, up, rows), {held, width});
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
  const Routed routed = RouterOf(tape, tokens);
  int y = Return(tape, ExpertProducts(tape, Dispatch(tape, tokens, routed, load), load), routed, load, rows);
  if (cut) y = tape.GatherRows("combine_gather", y);
  if (m.moe->shared_experts > 0) {
    y = tape.DropoutAdd("shared_add", MlpBody(tape, "shared.", normed, m.moe->shared_ffn), y);
  }
  return tape.DropoutAdd("mlp_add", y, x);
}

}  // namespace isochrone::plan
