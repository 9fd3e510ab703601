#include "plan/parameters.h"

#include <algorithm>

namespace isochrone::plan {
namespace {

double D(std::int64_t v) { return static_cast<double>(v); }

constexpr double kScanChunk = 256;  // tokens that the Mamba-2 scan multiplies at once (plan/op.h, Scan)

bool IsGated(MlpKind kind) { return kind == MlpKind::kSwiglu || kind == MlpKind::kGeglu; }

double Norm(const Model& m, double columns) { return m.normalization == NormKind::kLayer ? 2 * columns : columns; }

/// Matrix entries and all parameters of one part of a layer.
struct Part {
  double matrices = 0, others = 0;
  double Total() const { return matrices + others; }
};

/// Multi-head or grouped attention: H A D + 2 H K D + A D H; latent attention: its down and up projections.
Part AttentionOf(const Model& m) {
  const double h = D(m.hidden), a = D(m.heads);
  if (m.mla) {
    const MlaSpec& l = *m.mla;
    const double qk = l.qk_nope + l.qk_rope;
    const double queries = l.q_lora > 0 ? h * l.q_lora + l.q_lora * a * qk : h * a * qk;
    const double keys = h * (l.kv_lora + l.qk_rope) + l.kv_lora * a * (l.qk_nope + l.v);
    return {queries + keys + a * l.v * h, Norm(m, l.q_lora) + Norm(m, l.kv_lora)};
  }
  const double q = a * D(m.head_dim), kv = D(m.kv_heads) * D(m.head_dim);
  return {h * (q + 2 * kv) + q * h, m.linear_bias ? q + 2 * kv + h : 0};
}

Part MlpOf(const Model& m, double ffn) {
  const double h = D(m.hidden), ups = IsGated(m.mlp) ? 2 : 1;
  return {(ups + 1) * h * ffn, m.linear_bias ? ups * ffn + h : 0};
}

/// Input projection to z, x, B, C and dt, convolution over x, B and C, per-head A, D and dt bias, gated norm, output.
Part MambaOf(const Model& m) {
  const MambaSpec& s = *m.mamba;
  const double h = D(m.hidden), inner = s.expand * h, heads = inner / s.head_dim, states = 2.0 * s.groups * s.state;
  const double convolution = (inner + states) * (s.convolution + 1);
  return {h * (2 * inner + states + heads) + inner * h, convolution + 3 * heads + inner};
}

/// How many layers of each kind a model has. In a hybrid, attention and MLP are layers of their own.
struct LayerCounts {
  int attention = 0, mlp = 0, moe = 0, mamba = 0, norms = 0;
};
LayerCounts CountLayers(const Model& m) {
  LayerCounts n;
  const bool hybrid = !m.pattern.empty();
  n.attention = hybrid ? static_cast<int>(std::count(m.pattern.begin(), m.pattern.end(), '*')) : m.layers;
  n.mamba = hybrid ? static_cast<int>(std::count(m.pattern.begin(), m.pattern.end(), 'M')) : 0;
  n.mlp = hybrid ? static_cast<int>(std::count(m.pattern.begin(), m.pattern.end(), '-')) : m.layers;
  n.norms = hybrid ? m.layers : 2 * m.layers;
  if (m.moe && !hybrid) {
    for (int layer = m.moe->dense_layers; layer < m.layers; ++layer) n.moe += layer % m.moe->every == 0;
    n.mlp -= n.moe;
  }
  return n;
}

/// A layer's experts: all, and those that a token visits.
struct Experts {
  Part one, shared;
  double router = 0, total = 0, visited = 0;
};
Experts ExpertsOf(const Model& m) {
  Experts e;
  if (!m.moe) return e;
  e.one = MlpOf(m, D(m.moe->ffn));
  if (m.moe->shared_experts > 0) e.shared = MlpOf(m, D(m.moe->shared_ffn));
  e.router = D(m.hidden) * m.moe->experts;
  e.total = m.moe->experts * e.one.Total();
  e.visited = m.moe->topk * e.one.Total();
  return e;
}

/// A multi-token-prediction module: a projection of two hidden vectors, three norms, and a layer like the last. It
/// shares embedding and output table.
Part MultiToken(const Model& m, const Experts& e) {
  const double h = D(m.hidden);
  Part part{2 * h * h, 3 * Norm(m, h) + 2 * Norm(m, h)};
  const Part attention = AttentionOf(m);
  part.matrices += attention.matrices;
  part.others += attention.others;
  const Part mlp = MlpOf(m, D(m.ffn));
  part.matrices += m.moe ? m.moe->topk * e.one.matrices + e.shared.matrices + e.router : mlp.matrices;
  part.others += m.moe ? e.total - m.moe->topk * e.one.matrices + e.shared.others : mlp.others;
  return part;
}

/// Keys that a query sees on average.
double SeenKeys(const Model& m, AttentionCount count, bool windowed) {
  const double s = D(m.sequence), w = D(m.window);
  if (count == AttentionCount::kFull) return s;
  if (windowed && w < s) return m.causal ? (w * (w + 1) / 2 + (s - w) * w) / s : w;
  return m.causal ? (s + 1) / 2 : s;
}

/// Forward operations of QKᵀ and PV for one token, over all layers.
double AttentionPerToken(const Model& m, AttentionCount count, int layers) {
  const double wide = m.mla ? m.mla->qk_nope + m.mla->qk_rope + m.mla->v : 2 * D(m.head_dim);
  const int windowed = m.window > 0 ? (layers + m.window_every - 1) / m.window_every : 0;
  const double keys = windowed * SeenKeys(m, count, true) + (layers - windowed) * SeenKeys(m, count, false);
  return 2 * D(m.heads) * wide * keys;
}

/// Forward operations of the Mamba-2 scan and convolution for one token and layer.
double ScanPerToken(const Model& m) {
  if (!m.mamba) return 0;
  const MambaSpec& s = *m.mamba;
  const double inner = s.expand * D(m.hidden);
  const double scan = s.groups * kScanChunk * s.state + inner * kScanChunk + 2 * inner * s.state;
  return 2 * (scan + s.convolution * (inner + 2.0 * s.groups * s.state));
}

double GatesOf(RecurrentKind cell) { return cell == RecurrentKind::kRnn ? 1 : cell == RecurrentKind::kGru ? 3 : 4; }

/// A speech model's matrices with the products of each with one column, for one utterance: W and U of recurrent layers
/// once a step and direction, kernels once a cell of what they make.
struct SpeechCount {
  double parameters = 0, products = 0;  // products: multiply-adds of the forward pass
};
SpeechCount SpeechOf(const Model& m) {
  const SpeechSpec& s = *m.speech;
  SpeechCount n;
  const auto add = [&](double matrix, double times, double others) {
    n.parameters += matrix + others;
    n.products += matrix * times;
  };
  for (int i = 0; i < static_cast<int>(s.convolutions.size()); ++i) {
    const SpeechSpec::Layer& c = s.convolutions[static_cast<std::size_t>(i)];
    const SpeechSpec::Extent from = s.After(m.sequence, i), to = s.After(m.sequence, i + 1);
    add(D(c.channels * from.channels * c.kernel_frames * c.kernel_frequencies), D(to.frames * to.frequencies),
        2 * D(to.Width()));
  }
  const SpeechSpec::Extent last = s.AfterAll(m.sequence);
  const double h = D(m.hidden), gates = GatesOf(s.cell), ways = s.bidirectional ? 2 : 1, steps = D(last.frames);
  for (int i = 0; i < s.recurrent_layers; ++i)
    add((i == 0 ? D(last.Width()) : h) * gates * h + ways * gates * h * h, steps, 2 * gates * h);
  if (s.future_frames > 0) add(h * (s.future_frames + 1), steps, 0);
  add(h * h, steps, 2 * h);
  return n;
}

}  // namespace

std::int64_t MegatronVocabulary(std::int64_t tokens, std::int64_t tensor, std::int64_t divisible_by) {
  const std::int64_t unit = divisible_by * tensor;
  return (tokens + unit - 1) / unit * unit;
}

std::int64_t TrainedVocabulary(const Scenario& scenario, std::int64_t tokens) {
  const Strategy& s = scenario.strategy;
  const bool pads = s.framework.starts_with("megatron") && !scenario.model.speech;
  return pads && tokens % (std::int64_t{8} * s.tensor) != 0 ? MegatronVocabulary(tokens, s.tensor) : tokens;
}

ParameterCount ParametersOf(const Model& m) {
  if (m.speech) {
    ParameterCount p;
    p.speech = SpeechOf(m).parameters;
    p.head = D(m.vocabulary) * D(m.hidden);
    return p;
  }
  const LayerCounts n = CountLayers(m);
  const double h = D(m.hidden), table = D(m.vocabulary) * h;
  const Experts e = ExpertsOf(m);
  const Part attention = AttentionOf(m);
  ParameterCount p;
  p.embedding = table + (m.position == PositionKind::kLearned ? D(m.sequence) * h : 0);
  p.head = m.tied_embeddings ? 0 : table;
  p.attention = n.attention * (m.mla ? attention.matrices : attention.Total());
  p.normalization = (n.norms + 1) * Norm(m, h) + (m.mla ? n.attention * attention.others : 0);
  if (n.mamba > 0) p.mamba = n.mamba * MambaOf(m).Total();
  p.mlp = n.mlp * MlpOf(m, D(m.ffn)).Total() + n.moe * e.shared.Total();
  p.experts = n.moe * e.total;
  p.router = n.moe * e.router;
  p.multi_token = m.mtp_layers * MultiToken(m, e).Total();
  p.idle_experts = (n.moe + (m.moe ? m.mtp_layers : 0)) * (e.total - e.visited);
  return p;
}

Flops ModelFlops(const Model& m, double sequences, AttentionCount count) {
  if (m.speech) {
    const double frames = D(m.speech->AfterAll(m.sequence).frames);
    return Flops(6 * sequences * (SpeechOf(m).products + frames * D(m.vocabulary) * D(m.hidden)));
  }
  const LayerCounts n = CountLayers(m);
  const Experts e = ExpertsOf(m);
  double matrices = n.attention * AttentionOf(m).matrices + n.mlp * MlpOf(m, D(m.ffn)).matrices;
  if (n.mamba > 0) matrices += n.mamba * MambaOf(m).matrices;
  if (m.moe) matrices += n.moe * (m.moe->topk * e.one.matrices + e.shared.matrices + e.router);
  matrices += (1 + m.mtp_layers) * D(m.vocabulary) * D(m.hidden);
  matrices += m.mtp_layers * MultiToken(m, e).matrices;
  const double per_token =
      2 * matrices + AttentionPerToken(m, count, n.attention + m.mtp_layers) + n.mamba * ScanPerToken(m);
  return Flops(3 * sequences * D(m.sequence) * per_token);
}

}  // namespace isochrone::plan
