#include "study/advise.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "plan/parameters.h"
#include "plan/state_memory.h"

namespace isochrone::study {
namespace {

using plan::Model;
using plan::Scenario;

enum class Kind { kHidden, kHeads, kMlp, kVocabulary, kLayers, kMicrobatch };

/// A changed scenario, not yet predicted.
struct Candidate {
  Kind kind;
  std::int64_t key;  // of candidates with the same kind and key one is kept
  Scenario scenario;
};

const std::vector<std::int64_t>& HeadSizes() {
  static const std::vector<std::int64_t> sizes = {64, 80, 96, 112, 128, 144, 160, 192, 216, 256};
  return sizes;
}

std::int64_t RoundDown(std::int64_t x, std::int64_t unit) { return x / unit * unit; }
std::int64_t RoundUp(std::int64_t x, std::int64_t unit) { return RoundDown(x + unit - 1, unit); }

/// The model with other heads, or none where they do not fit hidden size, groups or tensor ranks.
std::optional<Model> WithHeads(const Model& model, std::int64_t hidden, std::int64_t head, std::int64_t tensor) {
  if (hidden % head != 0) return std::nullopt;
  Model m = model;
  const std::int64_t group = model.heads / model.kv_heads;
  m.hidden = hidden;
  m.head_dim = head;
  m.heads = hidden / head;
  if (m.heads % tensor != 0 || m.heads % group != 0) return std::nullopt;
  m.kv_heads = m.heads / group;
  const bool by_ratio = model.ffn % model.hidden == 0;
  const double ratio = static_cast<double>(model.ffn) / static_cast<double>(model.hidden);
  if (hidden != model.hidden) {
    m.ffn = by_ratio ? model.ffn / model.hidden * hidden
                     : RoundUp(static_cast<std::int64_t>(ratio * static_cast<double>(hidden)), 128 * tensor);
  }
  return m;
}

/// Ordinary attention over all of the hidden size: other widths keep their meaning.
bool Reshapes(const Model& m) {
  return !m.mla && !m.mamba && m.pattern.empty() && m.heads * m.head_dim == m.hidden && m.heads % m.kv_heads == 0;
}

class Candidates {
 public:
  explicit Candidates(const Scenario& base) : base_(base), tensor_(base.strategy.tensor) {}

  std::vector<Candidate> All() && {
    if (Reshapes(base_.model)) Widths();
    Mlp();
    Vocabulary();
    Layers();
    Microbatch();
    return std::move(all_);
  }

 private:
  void Add(Kind kind, std::int64_t key, const Model& model, std::int64_t microbatch) {
    Scenario s = base_;
    s.model = model;
    s.batch.microbatch = microbatch;
    all_.push_back({kind, key, std::move(s)});
  }

  void Widths() {
    const Model& m = base_.model;
    const std::int64_t least = RoundDown(m.hidden * 94 / 100, 128), most = RoundUp(m.hidden * 101 / 100, 128);
    std::set<std::int64_t> widths = {m.hidden};
    for (std::int64_t hidden = std::max<std::int64_t>(128, least); hidden <= most; hidden += 128) widths.insert(hidden);
    for (const std::int64_t hidden : widths) {
      std::set<std::int64_t> heads(HeadSizes().begin(), HeadSizes().end());
      if (hidden % m.heads == 0) heads.insert(hidden / m.heads);
      for (const std::int64_t head : heads) {
        const auto changed = WithHeads(m, hidden, head, tensor_);
        if (!changed || (hidden == m.hidden && head == m.head_dim)) continue;
        const bool same = hidden == m.hidden;
        Add(same ? Kind::kHeads : Kind::kHidden, same ? head : hidden, *changed, base_.batch.microbatch);
      }
    }
  }

  void Mlp() {
    for (const std::int64_t unit : {128 * tensor_, 256 * tensor_}) {
      for (const std::int64_t ffn : {RoundDown(base_.model.ffn, unit), RoundUp(base_.model.ffn, unit)}) {
        if (ffn == base_.model.ffn || ffn == 0) continue;
        Model m = base_.model;
        m.ffn = ffn;
        Add(Kind::kMlp, ffn, m, base_.batch.microbatch);
      }
    }
  }

  void Vocabulary() {
    for (const std::int64_t unit : {64 * tensor_, 128 * tensor_}) {
      Model m = base_.model;
      m.vocabulary = RoundUp(m.vocabulary, unit);
      if (m.vocabulary != base_.model.vocabulary) Add(Kind::kVocabulary, m.vocabulary, m, base_.batch.microbatch);
    }
  }

  void Layers() {
    const int stages = base_.strategy.pipeline * base_.strategy.chunks_per_rank;
    if (stages == 1 || !base_.model.pattern.empty()) return;
    for (const std::int64_t layers : {RoundDown(base_.model.layers, stages), RoundUp(base_.model.layers, stages)}) {
      if (layers == base_.model.layers || layers == 0) continue;
      Model m = base_.model;
      m.layers = static_cast<int>(layers);
      Add(Kind::kLayers, layers, m, base_.batch.microbatch);
    }
  }

  void Microbatch() {
    const std::int64_t now = base_.batch.microbatch, mine = base_.batch.sequences / base_.strategy.data;
    for (const std::int64_t size : {now / 2, now * 2}) {
      if (size > 0 && mine % size == 0) Add(Kind::kMicrobatch, size, base_.model, size);
    }
  }

  const Scenario& base_;
  std::int64_t tensor_;
  std::vector<Candidate> all_;
};

std::string ChangeOf(const Scenario& from, const Scenario& to) {
  std::string text;
  const auto say = [&](const char* what, std::int64_t a, std::int64_t b) {
    if (a == b) return;
    text += (text.empty() ? "" : ", ") + std::string(what) + " " + std::to_string(a) + " -> " + std::to_string(b);
  };
  say("hidden", from.model.hidden, to.model.hidden);
  say("heads", from.model.heads, to.model.heads);
  say("head size", from.model.head_dim, to.model.head_dim);
  say("MLP", from.model.ffn, to.model.ffn);
  say("vocabulary", from.model.vocabulary, to.model.vocabulary);
  say("layers", from.model.layers, to.model.layers);
  say("microbatch", from.batch.microbatch, to.batch.microbatch);
  return text;
}

ShapeAnswer Answer(const Scenario& scenario) {
  const Prediction p = Predict(scenario);
  ShapeAnswer answer;
  answer.scenario = scenario;
  answer.parameters = plan::ParametersOf(scenario.model).Total();
  answer.step_s = p.metrics.step_time.value;
  answer.tokens_per_s = p.metrics.tokens_per_s;
  answer.tflops_per_gpu = p.metrics.model_tflops_per_gpu;
  const Bytes room = plan::RoomForTensors(scenario.cluster.node.gpu);
  answer.fits = std::all_of(p.metrics.memory.begin(), p.metrics.memory.end(),
                            [&](const plan::StageMemory& stage) { return stage.Total() <= room; });
  answer.losses = LossesOf(p);
  return answer;
}

/// Which rule made most of the difference in time a model FLOP. Time a FLOP is 1 / TFLOP/s, whatever the model's size.
void Attribute(const ShapeAnswer& base, ShapeAnswer& answer) {
  const auto each = [](const ShapeAnswer& a, double seconds) { return seconds / (a.step_s * a.tflops_per_gpu); };
  double most = 0, all = 0;
  for (std::size_t r = 0; r < kShapeRules; ++r) {
    const double saved = each(base, base.losses[r]) - each(answer, answer.losses[r]);
    all += std::max(0.0, saved);
    if (saved <= most) continue;
    most = saved;
    answer.rule = static_cast<ShapeRule>(r);
  }
  answer.share = all > 0 ? most / all : 0;
}

/// Predicts what may be listed; nothing where parameters differ too much or the shape cannot run.
std::optional<ShapeAnswer> Better(const ShapeAnswer& base, const Scenario& scenario, const AdviseRequest& request,
                                  Advice& advice) {
  const double share = plan::ParametersOf(scenario.model).Total() / base.parameters - 1;
  if (share > request.more || share < -request.fewer) return std::nullopt;
  try {
    plan::Check(scenario);
    ShapeAnswer answer = Answer(scenario);
    ++advice.tried;
    const bool faster = answer.step_s < base.step_s && answer.tflops_per_gpu > base.tflops_per_gpu;
    if (!faster || (base.fits && !answer.fits)) return std::nullopt;
    answer.change = ChangeOf(base.scenario, scenario);
    Attribute(base, answer);
    return answer;
  } catch (const Error&) {
    return std::nullopt;  // a shape that these degrees cannot run is no advice
  }
}

bool Faster(const ShapeAnswer& a, const ShapeAnswer& b) { return a.tflops_per_gpu > b.tflops_per_gpu; }

/// The best of each kind, all at once.
Scenario Together(const Scenario& base, const std::map<Kind, ShapeAnswer>& best) {
  Scenario all = base;
  const bool reshaped = best.count(Kind::kHidden) || best.count(Kind::kHeads);
  for (const auto& [kind, answer] : best) {
    const Model& m = answer.scenario.model;
    if (kind == Kind::kHidden || (kind == Kind::kHeads && !best.count(Kind::kHidden))) {
      all.model.hidden = m.hidden, all.model.heads = m.heads, all.model.kv_heads = m.kv_heads;
      all.model.head_dim = m.head_dim, all.model.ffn = m.ffn;
    }
    if (kind == Kind::kMlp && !reshaped) all.model.ffn = m.ffn;
    if (kind == Kind::kVocabulary) all.model.vocabulary = m.vocabulary;
    if (kind == Kind::kLayers) all.model.layers = m.layers;
    if (kind == Kind::kMicrobatch) all.batch.microbatch = answer.scenario.batch.microbatch;
  }
  return all;
}

}  // namespace

Advice Advise(const Scenario& scenario, const AdviseRequest& request) {
  Advice advice;
  advice.model = Answer(scenario);
  std::map<std::pair<Kind, std::int64_t>, ShapeAnswer> kept;
  for (const Candidate& c : Candidates(scenario).All()) {
    auto answer = Better(advice.model, c.scenario, request, advice);
    if (!answer) continue;
    const auto [it, first] = kept.emplace(std::pair(c.kind, c.key), *answer);
    if (!first && Faster(*answer, it->second)) it->second = *answer;
  }
  std::map<Kind, ShapeAnswer> best;
  for (const auto& [key, answer] : kept) {
    const auto [it, first] = best.emplace(key.first, answer);
    if (!first && Faster(answer, it->second)) it->second = answer;
    advice.better.push_back(answer);
  }
  if (best.size() > 1) {
    if (auto all = Better(advice.model, Together(scenario, best), request, advice)) advice.better.push_back(*all);
  }
  std::stable_sort(advice.better.begin(), advice.better.end(), Faster);
  const auto same = [](const ShapeAnswer& a, const ShapeAnswer& b) { return a.change == b.change; };
  advice.better.erase(std::unique(advice.better.begin(), advice.better.end(), same), advice.better.end());
  return advice;
}

}  // namespace isochrone::study
