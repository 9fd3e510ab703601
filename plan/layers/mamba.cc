// Mamba-2 mixer with its residual: norm → z, x, B, C, dt → convolution → scan → gated norm → projection → add.
#include "plan/layers/layers.h"

namespace isochrone::plan {
namespace {

/// Widths of one tensor rank.
struct Widths {
  std::int64_t inner, heads, states;                         // states: B and C together
  std::int64_t Convolved() const { return inner + states; }  // x, B and C
  std::int64_t Projected() const { return inner + Convolved() + heads; }
};

Widths WidthsOf(const LayerContext& c) {
  const MambaSpec& s = *c.model->mamba;
  const std::int64_t inner = s.expand * c.model->hidden / c.layout.tp;
  return {inner, inner / s.head_dim, 2LL * s.groups / c.layout.tp * s.state};
}

/// Causal depthwise convolution over x, B and C with its activation.
int Convolved(Tape& tape, int projected, const Widths& w) {
  const LayerContext& c = tape.context();
  const int weight = tape.Parameter("convolution.weight", {w.Convolved(), c.model->mamba->convolution}, 0);
  const int bias = tape.Parameter("convolution.bias", {w.Convolved()}, 0);
  Convolution forward{.batch = c.sequences,
                      .width = c.positions,
                      .channels_in = w.Convolved(),
                      .kernel_width = c.model->mamba->convolution,
                      .dtype = c.storage};
  Convolution backward = forward;
  backward.pass = Pass::kBackward;
  return tape.Apply("convolution", forward, backward, {projected, weight, bias}, {projected, weight, bias},
                    {c.Tokens(), w.Convolved()});
}

int Scanned(Tape& tape, int convolved, int projected, const Widths& w) {
  const LayerContext& c = tape.context();
  const MambaSpec& s = *c.model->mamba;
  const int decay = tape.Parameter("scan.a", {w.heads}, 0), skip = tape.Parameter("scan.d", {w.heads}, 0);
  const int step = tape.Parameter("scan.dt_bias", {w.heads}, 0);
  Scan forward{.batch = c.sequences,
               .length = c.positions,
               .heads = w.heads,
               .head_dim = s.head_dim,
               .groups = s.groups / c.layout.tp,
               .state = s.state,
               .dtype = c.storage};
  Scan backward = forward;
  backward.pass = Pass::kBackward;
  const std::vector<int> in = {convolved, projected, decay, skip, step};
  return tape.Apply("scan", forward, backward, in, in, {c.Tokens(), w.inner});
}

/// rms(y · silu(z)) · g: z scales the scan's result before it is normalised.
int GatedNorm(Tape& tape, int scanned, int projected, const Widths& w) {
  const LayerContext& c = tape.context();
  const int weight = tape.Parameter("gated_norm.weight", {w.inner}, 0);
  const Bytes size = tape.At(scanned).Size();
  Elementwise forward{.kind = ElementwiseKind::kMultiply,
                      .rows = c.Tokens(),
                      .columns = w.inner,
                      .read = 2 * size,
                      .written = size,
                      .flops_per_element = 12};
  Elementwise backward = forward;
  backward.pass = Pass::kBackward;
  backward.read = 3 * size;
  backward.written = 2 * size;
  return tape.Apply("gated_norm", forward, backward, {scanned, projected, weight}, {scanned, projected, weight},
                    {c.Tokens(), w.inner});
}

}  // namespace

LayerProgram MambaLayer(const LayerContext& context) {
  const Model& m = *context.model;
  const Widths w = WidthsOf(context);
  Tape tape("mamba", context);
  const int x = tape.Input("x", {context.ShardTokens(), m.hidden}, context.storage);
  const int full = tape.EnterTensorRegion("mixer_gather", tape.Norm("mixer_norm", x), Tape::Wire::kMultiply);
  const int in_weight = tape.Parameter("mixer.in.weight", {w.Projected(), m.hidden}, 0);
  const int projected = tape.Linear("mixer.in", full, in_weight);
  const int scanned = Scanned(tape, Convolved(tape, projected, w), projected, w);
  const int gated = GatedNorm(tape, scanned, projected, w);
  const int out_weight = tape.Parameter("mixer.out.weight", {m.hidden, w.inner}, 1);
  const int out =
      tape.LeaveTensorRegion("mixer_reduce", tape.Linear("mixer.out", gated, out_weight), Tape::Wire::kMultiply);
  return tape.Finish(tape.DropoutAdd("mixer_add", out, x));
}

}  // namespace isochrone::plan
