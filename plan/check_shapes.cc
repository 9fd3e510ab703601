// Tensor, context and expert degrees against the model: what each rank gets must be whole.
#include <algorithm>
#include <numeric>
#include <utility>

#include "plan/parameters.h"
#include "plan/scenario_check.h"

namespace isochrone::plan {
namespace {

std::string Text(std::int64_t v) { return std::to_string(v); }

/// A dimension of the model that the tensor ranks cut.
struct Dimension {
  std::string name;
  std::int64_t size;
  bool Cuts(std::int64_t tensor) const {
    // Key and value heads may also be fewer than ranks: then each is held by several ranks.
    return size % tensor == 0 || (name == "kv_heads" && tensor % size == 0);
  }
};

std::vector<Dimension> TensorDimensions(const Model& m) {
  std::vector<Dimension> all = {{"attention_heads", m.heads}};
  if (!m.mla) all.push_back({"kv_heads", m.kv_heads});
  all.push_back({"ffn", m.ffn});
  if (m.moe && m.moe->shared_experts > 0) all.push_back({"moe/shared_ffn", m.moe->shared_ffn});
  if (m.mamba) {
    all.push_back({"mamba heads (expand · hidden / head_dim)", m.mamba->expand * m.hidden / m.mamba->head_dim});
    all.push_back({"mamba/groups", m.mamba->groups});
  }
  all.push_back({"vocabulary", m.vocabulary});
  return all;
}

void CheckTensor(const Scenario& s, const Faults& faults) {
  const std::int64_t tensor = s.strategy.tensor, domain = s.cluster.node.domain_gpus;
  const std::vector<Dimension> dimensions = TensorDimensions(s.model);
  const auto legal = [&](std::int64_t t) {
    for (const Dimension& d : dimensions) {
      if (!d.Cuts(t)) return false;
    }
    return domain % t == 0;
  };
  for (const Dimension& d : dimensions) {
    if (d.Cuts(tensor)) continue;
    const bool vocabulary = d.name == "vocabulary";
    const std::string pad =
        vocabulary ? ", or pad vocabulary to " + Text(MegatronVocabulary(d.size, tensor)) + " as Megatron-LM does" : "";
    faults.Strategy("tensor", "must divide " + d.name + " = " + Text(d.size) + faults.OfModel(),
                    "try " + Legal(tensor, domain, legal) + " (a node has " + Text(domain) + " GPUs)" + pad);
  }
}

/// Ring and all-gather forms give each rank an early and a late piece, so that causal work is equal.
std::int64_t Pieces(const Scenario& s, std::int64_t context) {
  return s.strategy.context_form == ContextForm::kUlysses || context == 1 ? context : 2 * context;
}

/// Ulysses: each context rank takes a share of its tensor rank's heads; key and value heads may be fewer than ranks.
bool CutsHeads(const Model& m, std::int64_t tensor, std::int64_t context) {
  const std::int64_t keys = m.mla ? m.heads / tensor : std::max<std::int64_t>(1, m.kv_heads / tensor);
  return m.heads % (tensor * context) == 0 && (keys % context == 0 || context % keys == 0);
}

void CheckContext(const Scenario& s, const Faults& faults) {
  const std::int64_t context = s.strategy.context, tensor = s.strategy.tensor, sequence = s.model.sequence;
  const auto cuts = [&](std::int64_t c) {
    return (s.strategy.context_form != ContextForm::kUlysses || CutsHeads(s.model, tensor, c)) &&
           sequence % Pieces(s, c) == 0;
  };
  if (!cuts(context)) {
    const bool ring = s.strategy.context_form != ContextForm::kUlysses;
    const std::string what = ring ? "times 2 must divide sequence = " + Text(sequence) + faults.OfModel()
                                  : "must divide sequence = " + Text(sequence) +
                                        " and, times tensor, attention_heads = " + Text(s.model.heads) +
                                        " and kv_heads = " + Text(s.model.kv_heads) + faults.OfModel();
    faults.Strategy(
        "context", what,
        "try " + Legal(context, std::max<std::int64_t>(1, s.cluster.Gpus() / tensor / s.strategy.pipeline), cuts));
  }
  if (s.strategy.sequence_parallel && sequence / context % tensor != 0) {
    faults.Strategy("sequence_parallel",
                    "needs tensor = " + Text(tensor) + " to divide the " + Text(sequence / context) +
                        " positions of each context rank",
                    "try tensor = " + Legal(tensor, s.cluster.node.domain_gpus, [&](std::int64_t t) {
                      return sequence / context % t == 0;
                    }) + ", or false");
  }
}

void CheckExperts(const Scenario& s, const Faults& faults) {
  const std::int64_t expert = s.strategy.expert, expert_tensor = s.strategy.expert_tensor;
  if (!s.model.moe) {
    if (expert > 1) faults.Strategy("expert", "needs a mixture of experts, which " + s.model.file + " is not", "use 1");
    if (expert_tensor > 1) {
      faults.Strategy("expert_tensor", "needs a mixture of experts, which " + s.model.file + " is not", "use 1");
    }
    return;
  }
  const MoeSpec& moe = *s.model.moe;
  const std::int64_t stage = std::int64_t{1} * s.strategy.tensor * s.strategy.context * s.strategy.data;
  const auto fits = [&](std::int64_t e) { return moe.experts % e == 0 && stage % (e * expert_tensor) == 0; };
  if (moe.ffn % expert_tensor != 0 || stage % expert_tensor != 0) {
    faults.Strategy(
        "expert_tensor",
        "must divide moe/ffn = " + Text(moe.ffn) + faults.OfModel() + " and tensor · context · data = " + Text(stage),
        "try " + Legal(expert_tensor, stage, [&](std::int64_t e) { return std::gcd(moe.ffn, stage) % e == 0; }));
  }
  if (!fits(expert)) {
    faults.Strategy("expert",
                    "must divide moe/experts = " + Text(moe.experts) + faults.OfModel() +
                        " and, times expert_tensor, tensor · context · data = " + Text(stage),
                    "try " + Legal(expert, stage, fits));
  }
  // Without sequence parallelism each tensor rank still sends its share of the rows to their experts.
  const std::int64_t rows = s.batch.microbatch * s.model.sequence / s.strategy.context;
  if (rows % s.strategy.tensor != 0) {
    std::vector<Remedy> remedies;
    for (int tensor = s.strategy.tensor - 1; tensor >= 1; --tensor) {
      if (rows % tensor == 0) remedies.push_back({"tensor", Text(tensor)});
    }
    faults.Strategy(
        "tensor", "must divide the microbatch · sequence / context = " + Text(rows) + " rows that it sends to experts",
        remedies);
  }
  if (!s.strategy.expert_load.empty() && static_cast<int>(s.strategy.expert_load.size()) != moe.experts) {
    faults.Strategy("expert_load",
                    "must have one share for each of moe/experts = " + Text(moe.experts) + faults.OfModel(),
                    "give " + Text(moe.experts) + " numbers");
  }
}

void CheckSpeech(const Scenario& s, const Faults& faults) {
  if (!s.model.speech) return;
  const Strategy& y = s.strategy;
  for (const auto& [key, degree] :
       {std::pair{"tensor", y.tensor}, std::pair{"pipeline", y.pipeline}, std::pair{"context", y.context}}) {
    if (degree > 1) faults.Strategy(key, "cuts recurrent layers, which are spread over data ranks only", "use 1");
  }
}

}  // namespace

void CheckShapes(const Scenario& scenario, const Faults& faults) {
  CheckSpeech(scenario, faults);
  CheckTensor(scenario, faults);
  CheckContext(scenario, faults);
  CheckExperts(scenario, faults);
}

}  // namespace isochrone::plan
