#include "study/inference/score.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"
#include "base/statistics.h"
#include "costmodel/inference/step_price.h"
#include "plan/inference/memory.h"
#include "study/inference/generate.h"

namespace isochrone::study {
namespace {

/// What a cost function depends on.
std::string CostKey(const plan::InferenceScenario& s) {
  const plan::Model& m = s.base.model;
  std::string key = s.base.cluster.name + " " + s.strategy.engine;
  for (const std::int64_t v :
       {std::int64_t{m.layers}, m.hidden, m.heads, m.kv_heads, m.head_dim, m.ffn, m.vocabulary,
        static_cast<std::int64_t>(m.mlp), std::int64_t{s.strategy.tensor}, std::int64_t{s.strategy.pipeline},
        static_cast<std::int64_t>(s.strategy.precision), static_cast<std::int64_t>(s.strategy.kv_cache)})
    key += " " + std::to_string(v);
  return key;
}

double LoneStep(const InferenceRow& row, const plan::ReplicaCost& cost) {
  const plan::Generation& g = row.scenario->generation;
  const auto batch = static_cast<double>(g.batch), prompt = static_cast<double>(g.prompt);
  plan::StepLoad load;
  if (g.prompt > 0)
    load.pieces = batch, load.prompt_tokens = batch * prompt, load.prompt_pairs = batch * prompt * prompt / 2;
  else load.decoded = batch, load.cached = batch * kUnstatedContext;
  return cost.Latency(load);
}

ScoredTime Skipped(const InferenceRow& row, const std::string& reason) {
  ScoredTime t;
  t.line = row.line, t.source = row.source, t.status = "skipped", t.reason = reason;
  return t;
}

TimesScore Summary(const std::vector<const ScoredTime*>& rows) {
  TimesScore s;
  s.source = rows.front()->source, s.metric = rows.front()->metric, s.role = rows.front()->role;
  s.status = rows.front()->status;
  std::vector<double> predicted, measured;
  for (const ScoredTime* t : rows) {
    ++s.rows;
    if (t->status != "skipped") predicted.push_back(t->predicted_s), measured.push_back(t->measured_s);
  }
  s.scored = static_cast<int>(predicted.size());
  if (s.scored == 0) return s;
  s.mean = MeanAbsoluteRelativeError(predicted, measured), s.median = MedianAbsoluteRelativeError(predicted, measured);
  s.bias = Bias(predicted, measured), s.worst = WorstAbsoluteRelativeError(predicted, measured);
  return s;
}

}  // namespace

std::vector<ScoredTime> PredictRow(const InferenceRow& row, const costmodel::EngineProfile& engine,
                                   const plan::ReplicaCost& cost) {
  const plan::InferenceScenario& s = *row.scenario;
  std::vector<ScoredTime> times;
  const auto add = [&](const char* metric, const std::optional<double>& measured, double predicted,
                       bool judged = true) {
    if (!measured || *measured <= 0) return;
    ScoredTime t;
    t.line = row.line, t.source = row.source, t.metric = metric, t.hardware = s.base.cluster.node.gpu.name;
    t.engine = engine.name, t.status = judged ? "scored" : "shown";
    t.role = engine.fitted_rows.count(row.key) > 0 ? "fit" : "held_out";
    t.predicted_s = predicted, t.measured_s = *measured;
    times.push_back(t);
  };
  if (row.one_step) {
    add("step", row.step, LoneStep(row, cost));
    return times;
  }
  const auto budget = static_cast<double>(s.strategy.token_budget);
  const GenerationTimes g =
      row.steady ? SteadyConcurrency(cost, s.generation, {budget, engine.fuses_prompts, plan::CacheCapacity(s)})
                 : SimultaneousBatch(cost, s.generation, budget);
  add("ttft", row.first_token, g.first_token, !row.steady);
  add("tpot", row.per_token, g.per_token);
  add("total", row.total, g.first_token + static_cast<double>(s.generation.output - 1) * g.per_token);
  return times;
}

std::vector<TimesScore> Summaries(const std::vector<ScoredTime>& rows) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::vector<const ScoredTime*>> groups;
  for (const ScoredTime& t : rows) {
    if (t.metric.empty()) continue;
    groups[{t.source, t.metric, t.hardware, t.role}].push_back(&t);
    groups[{t.source, t.metric, "all", t.role}].push_back(&t);
  }
  std::vector<TimesScore> all;
  for (const auto& [key, members] : groups) {
    all.push_back(Summary(members));
    all.back().hardware = std::get<2>(key);
  }
  return all;
}

InferenceScore ScoreInference(const std::vector<InferenceRow>& rows,
                              void (*progress)(std::size_t done, std::size_t all)) {
  InferenceScore score;
  std::map<std::string, std::pair<costmodel::EngineProfile, plan::ReplicaCost>> costs;
  std::size_t done = 0;
  for (const InferenceRow& row : rows) {
    if (progress) progress(++done, rows.size());
    if (!row.scenario) {
      score.rows.push_back(Skipped(row, row.reason));
      continue;
    }
    const std::string key = CostKey(*row.scenario);
    auto found = costs.find(key);
    if (found == costs.end()) {
      const costmodel::EngineProfile engine =
          costmodel::EngineOf(row.scenario->strategy.engine, row.scenario->base.cluster.node.gpu);
      found = costs.emplace(key, std::pair(engine, costmodel::ReplicaCostOf(*row.scenario))).first;
    }
    for (ScoredTime& t : PredictRow(row, found->second.first, found->second.second)) score.rows.push_back(std::move(t));
  }
  score.groups = Summaries(score.rows);
  return score;
}

}  // namespace isochrone::study
