// Deep Speech 2: convolutions over a spectrogram, recurrent layers, a row convolution, characters. All in rows of
// (B · frames, width).
#include "plan/layers/layers.h"

namespace isochrone::plan {

SpeechSpec::Extent SpeechSpec::After(std::int64_t frames, int layers) const {
  Extent at{frames, frequencies, 1};
  for (int i = 0; i < layers; ++i) {
    const Layer& c = convolutions[static_cast<std::size_t>(i)];
    at = {(at.frames + c.stride_frames - 1) / c.stride_frames,
          (at.frequencies + c.stride_frequencies - 1) / c.stride_frequencies, c.channels};
  }
  return at;
}

namespace {

std::int64_t GatesOf(RecurrentKind cell) {
  return cell == RecurrentKind::kRnn ? 1 : cell == RecurrentKind::kGru ? 3 : 4;
}

/// Of all layers behind the convolutions.
std::int64_t Rows(const LayerContext& c) { return c.sequences * c.model->speech->AfterAll(c.positions).frames; }

int Enter(Tape& tape, std::int64_t rows, std::int64_t width) {
  return tape.Input("x", {rows, width}, tape.context().storage);
}

/// min(max(x, 0), 20)
int Clipped(Tape& tape, int x) { return tape.Elementwise1("activation", ElementwiseKind::kRelu, x, tape.At(x).shape); }

/// The two directions' states, side by side, added up.
int Added(Tape& tape, int states) {
  const std::int64_t rows = tape.At(states).shape.front(), width = tape.At(states).shape.back() / 2;
  const Bytes size = tape.At(states).Size();
  Elementwise forward{
      .kind = ElementwiseKind::kAdd, .rows = rows, .columns = width, .read = size, .written = 0.5 * size};
  Elementwise backward = forward;
  backward.pass = Pass::kBackward;
  backward.kind = ElementwiseKind::kCopy;
  backward.read = forward.written;
  backward.written = forward.read;
  return tape.Apply("directions_add", forward, backward, {states}, {}, {rows, width});
}

LayerProgram Recurring(const LayerContext& c, const char* name, std::int64_t width) {
  const SpeechSpec& s = *c.model->speech;
  const std::int64_t hidden = c.model->hidden, gates = GatesOf(s.cell) * hidden, ways = s.bidirectional ? 2 : 1;
  Tape tape(name, c);
  const int x = Enter(tape, Rows(c), width);
  const int into = tape.Linear("recurrent", x, tape.Parameter("recurrent.weight", {gates, width}, -1), -1, false);
  const int normed = tape.Norm("recurrent_norm", into);
  const int weight = tape.Parameter("recurrence.weight", {ways * gates, hidden}, -1);
  Recurrent forward{.kind = s.cell,
                    .batch = c.sequences,
                    .steps = s.AfterAll(c.positions).frames,
                    .hidden = hidden,
                    .bidirectional = s.bidirectional,
                    .dtype = c.storage};
  Recurrent backward = forward;
  backward.pass = Pass::kBackward;
  const int states = tape.Apply("recurrence", forward, backward, {normed, weight}, {normed, weight, Tape::kResult},
                                {Rows(c), ways * hidden});
  return tape.Finish(s.bidirectional ? Added(tape, states) : states);
}

}  // namespace

LayerProgram SpectrogramLayer(const LayerContext& c) {
  Tape tape("spectrogram", c);
  return tape.Finish(Enter(tape, c.Tokens(), c.model->speech->frequencies));
}

LayerProgram SpeechConvolution(const LayerContext& c, int index) {
  const SpeechSpec& s = *c.model->speech;
  const SpeechSpec::Layer& layer = s.convolutions[static_cast<std::size_t>(index)];
  const SpeechSpec::Extent from = s.After(c.positions, index), to = s.After(c.positions, index + 1);
  Tape tape("convolution_" + std::to_string(index + 1), c);
  const int x = Enter(tape, c.sequences * from.frames, from.Width());
  const int weight = tape.Parameter(
      "convolution.weight", {layer.channels, from.channels * layer.kernel_frames * layer.kernel_frequencies}, -1);
  Convolution forward{.batch = c.sequences,
                      .height = from.frequencies,
                      .width = from.frames,
                      .channels_in = from.channels,
                      .channels_out = layer.channels,
                      .kernel_height = layer.kernel_frequencies,
                      .kernel_width = layer.kernel_frames,
                      .stride_height = layer.stride_frequencies,
                      .stride_width = layer.stride_frames,
                      .dtype = c.storage};
  Convolution backward = forward;
  backward.pass = Pass::kBackward;
  const int y =
      tape.Apply("convolution", forward, backward, {x, weight}, {x, weight}, {c.sequences * to.frames, to.Width()});
  return tape.Finish(Clipped(tape, tape.Norm("convolution_norm", y)));
}

LayerProgram FirstRecurrentLayer(const LayerContext& c) {
  return Recurring(c, "recurrent_first", c.model->speech->AfterAll(c.positions).Width());
}

LayerProgram RecurrentLayer(const LayerContext& c) { return Recurring(c, "recurrent", c.model->hidden); }

LayerProgram RowConvolutionLayer(const LayerContext& c) {
  const std::int64_t hidden = c.model->hidden, taps = c.model->speech->future_frames + 1;
  Tape tape("row_convolution", c);
  const int x = Enter(tape, Rows(c), hidden);
  const int weight = tape.Parameter("row_convolution.weight", {hidden, taps}, -1);
  Convolution forward{.batch = c.sequences,
                      .width = Rows(c) / c.sequences,
                      .channels_in = hidden,
                      .kernel_width = taps,
                      .dtype = c.storage};
  Convolution backward = forward;
  backward.pass = Pass::kBackward;
  return tape.Finish(tape.Apply("row_convolution", forward, backward, {x, weight}, {x, weight}, {Rows(c), hidden}));
}

LayerProgram ConnectedLayer(const LayerContext& c) {
  const std::int64_t hidden = c.model->hidden;
  Tape tape("connected", c);
  const int x = Enter(tape, Rows(c), hidden);
  const int y = tape.Linear("connected", x, tape.Parameter("connected.weight", {hidden, hidden}, -1), -1, false);
  return tape.Finish(Clipped(tape, tape.Norm("connected_norm", y)));
}

/// The loss walks a lattice of 2 labels + 1 states a frame once forward and once backward, in fp32.
LayerProgram CharacterLayer(const LayerContext& c) {
  const std::int64_t characters = c.model->vocabulary, states = 2 * c.model->speech->labels + 1, rows = Rows(c);
  Tape tape("characters", c);
  const int x = Enter(tape, rows, c.model->hidden);
  const int logits =
      tape.Linear("logits", x, tape.Parameter("logits.weight", {characters, c.model->hidden}, -1), -1, false);
  const Softmax softmax{.rows = rows, .columns = characters, .causal = false, .dtype = c.storage};
  const int probabilities = tape.Activation("probabilities", {rows, characters}, Dtype::kFp32);
  const int lattice = tape.Activation("lattice", {rows, states}, Dtype::kFp32);
  const Bytes walked = tape.At(lattice).Size();
  Elementwise walk{.kind = ElementwiseKind::kMultiply,
                   .rows = rows,
                   .columns = states,
                   .read = walked,
                   .written = walked,
                   .flops_per_element = 6};
  tape.Record({.name = "softmax", .kind = softmax, .in = {logits}, .out = {probabilities}, .after = {}},
              [=](Tape::Gradient g) {
                Elementwise back = walk;
                back.pass = Pass::kBackward;
                back.read = 2 * walked;
                const int dlogits = g.tape->NewGradient(logits);
                g.tape->EmitInputGradient({.name = "temporal_classification",
                                           .kind = back,
                                           .in = {probabilities, lattice},
                                           .out = {dlogits},
                                           .after = {}});
                g.tape->AddGradient(logits, dlogits);
              });
  tape.Record({.name = "temporal_classification", .kind = walk, .in = {probabilities}, .out = {lattice}, .after = {}},
              nullptr);
  return tape.Finish(-1);
}

}  // namespace isochrone::plan
