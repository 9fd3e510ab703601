#include "study/search/worker.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "plan/stages.h"
#include "plan/state_memory.h"
#include "study/search/objective.h"

namespace isochrone::study {

double Worker::Score(double time, double model_flops) const {
  return ScoreOf(space_, walk_->number, scenario_, time, model_flops);
}

double Worker::Capacity() const {
  const double gpu = scenario_.cluster.node.gpu.memory.value, limit = space_.constraints.memory_bytes;
  if (limit > 0) return std::min(limit, gpu);
  return plan::RoomForTensors(scenario_.cluster.node.gpu).value;
}

void Worker::Lower(double score) {
  double now = threshold_.load(std::memory_order_relaxed);
  while (score < now && !threshold_.compare_exchange_weak(now, score)) {
  }
}

bool Worker::Enter(const Walk& walk, std::int64_t unit) {
  if (walk_ == &walk && unit_ == unit) return legal_;
  if (walk_ != &walk) {
    evaluator_.EnterModel();
    repeats_cut_.clear();
  }
  walk_ = &walk;
  unit_ = unit;
  ready_ = false;
  scenario_ = *walk.base;
  SetAxes(*walk.axes, 0, walk.pipeline, unit, scenario_);
  sequences_ = scenario_.batch.sequences;
  legal_ = !RepeatsBlock(scenario_.strategy, walk.base->strategy) && LegalBlock(scenario_);
  return legal_;
}

void Worker::EnterBlock() {
  if (!ready_) evaluator_.EnterBlock(walk_->first_unit + unit_, PrefixOf(*walk_, unit_));
  ready_ = true;
}

bool Worker::EnterPart(std::int64_t part) {
  SetAxes(*walk_->axes, walk_->pipeline, walk_->layout_end, part, scenario_);
  scenario_.batch.sequences = sequences_;
  if (!Complete(space_, scenario_) || !LegalLayout(space_, scenario_) ||
      RepeatsLayout(scenario_.strategy, walk_->base->strategy))
    return false;
  steps_.clear();
  for (int i = 0; i < walk_->combinations; ++i) {
    SetAxes(*walk_->axes, walk_->step, walk_->axes->size(), i, scenario_);
    if (!LegalStep(scenario_)) continue;
    const Step step{i, StepKeysOf(scenario_.strategy), EffectOfStep(scenario_)};
    const auto same = [&](const Step& earlier) { return earlier.effect == step.effect; };
    if (std::none_of(steps_.begin(), steps_.end(), same)) steps_.push_back(step);
  }
  if (steps_.empty()) return false;
  SetStepKeys(steps_.front().keys, scenario_.strategy);
  return true;
}

template <class Body>
void Worker::Each(std::size_t axis, std::int64_t index, std::int64_t span, const Body& body) {
  const Axis& a = (*walk_->axes)[axis];
  const std::int64_t each = span / static_cast<std::int64_t>(a.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const std::size_t v = way_.At(i, a.values.size());
    a.set(v, scenario_);
    body(index + static_cast<std::int64_t>(v) * each, each);
  }
}

template <class Visit>
void Worker::EachStep(const Visit& visit) {
  for (const Step& step : steps_) {
    SetStepKeys(step.keys, scenario_.strategy);
    visit(step.combination);
  }
}

void Worker::Run(const Walk& walk, std::int64_t unit, std::int64_t part, bool hopeless) {
  rows.clear();
  if (!Enter(walk, unit) || !EnterPart(part)) return;
  if (!hopeless) {
    EnterBlock();
    evaluator_.EnterLayout(scenario_);
  }
  counting_ = hopeless || (prune_ && NoneHopes());
  Pipelines(walk.layout_end, walk.first_index + unit * walk.per_unit + part * walk.PerPart(), walk.PerPart());
}

double Worker::LeastScore(const Walk& walk, std::int64_t unit) {
  double least = std::numeric_limits<double>::infinity();
  if (!Enter(walk, unit)) return least;
  EnterBlock();
  for (std::int64_t part = 0; part < walk.parts; ++part) {
    if (!EnterPart(part)) continue;
    evaluator_.EnterLayout(scenario_);
    EachStep([&](int) {
      if (!TooLarge(evaluator_.LeastMemory(scenario_)))
        least = std::min(least, Score(evaluator_.LeastComputeTime(scenario_), evaluator_.ModelFlops(scenario_)));
    });
  }
  return least;
}

bool Worker::NoneHopes() {
  bool none = true;
  EachStep([&](int combination) {
    if (!none || Hopeless(evaluator_.LeastComputeTime(scenario_)) || TooLarge(evaluator_.LeastMemory(scenario_)))
      return;
    evaluator_.EnterStep(scenario_, combination);
    none = Hopeless(evaluator_.LeastStepTime(scenario_));
  });
  return none;
}

void Worker::Pipelines(std::size_t axis, std::int64_t index, std::int64_t span) {
  if (axis == walk_->messages &&
      (!LegalPipeline(scenario_, space_.constraints) || RepeatsCut() || !evaluator_.Accepts(scenario_)))
    return;
  if (axis < walk_->step) {
    Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { Pipelines(axis + 1, i, s); });
    return;
  }
  if (RepeatsPipeline(scenario_.strategy, walk_->base->strategy)) return;
  if (!counting_) evaluator_.EnterPipeline(scenario_);
  Steps(index);
}

bool Worker::RepeatsCut() {
  if (walk_->cutters.empty()) return false;
  plan::Strategy& s = scenario_.strategy;
  const auto mine = std::tuple(s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split);
  const auto [known, first] = repeats_cut_.try_emplace(
      {plan::StagesOf(s), s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split}, false);
  if (!first) return known->second;
  const std::vector<int> split = plan::LayersPerStage(scenario_);
  bool& repeats = known->second;
  for (std::int64_t c = 0; !repeats; ++c) {
    std::int64_t rest = c;
    for (auto axis = walk_->cutters.rbegin(); axis != walk_->cutters.rend(); ++axis) {
      const auto n = static_cast<std::int64_t>((*axis)->values.size());
      (*axis)->set(static_cast<std::size_t>(rest % n), scenario_);
      rest /= n;
    }
    if (mine == std::tuple(s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split)) break;
    repeats = LegalPipeline(scenario_, space_.constraints) && plan::LayersPerStage(scenario_) == split;
  }
  std::tie(s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split) = mine;
  return repeats;
}

void Worker::Steps(std::int64_t index) {
  EachStep([&](int combination) {
    ++found.legal;
    if (counting_ || !Hopes(combination)) ++found.pruned;
    else Price(index + combination);
  });
}

bool Worker::Hopes(int combination) {
  evaluator_.EnterStep(scenario_, combination);
  if (prune_ &&
      (Hopeless(evaluator_.LeastStepTime(scenario_)) || TooLarge(evaluator_.LeastMemory(scenario_)) ||
       Hopeless(evaluator_.LeastPipelineTime(scenario_)) || TooLarge(evaluator_.LeastPipelineMemory(scenario_))))
    return false;
  memory_ = evaluator_.Memory(scenario_);
  return !prune_ || !TooLarge(memory_);
}

void Worker::Price(std::int64_t index) {
  ++found.priced;
  const Estimate e = evaluator_.Evaluate();
  const plan::Strategy& s = scenario_.strategy;
  Candidate c;
  c.index = index;
  c.estimate = e;
  c.sequences = scenario_.batch.sequences;
  c.gpus = s.tensor * s.context * s.data * s.pipeline;
  c.model_flops = evaluator_.ModelFlops(scenario_);
  c.score = Score(e.step_time, c.model_flops);
  c.fits = memory_ <= Capacity();
  if (keep_rows_) rows.push_back(c);
  if (!c.fits) ++found.out_of_memory;
  if (space_.constraints.fits && !c.fits) return;
  if (static_cast<int>(found.best.size()) < space_.best || c < found.best.back()) {
    KeepBest(c, space_.best, found.best);
    if (static_cast<int>(found.best.size()) == space_.best) Lower(found.best.back().score);
  }
  if (!prune_) KeepPareto(c, found.pareto);
}

}  // namespace isochrone::study
