#include "study/terms/evaluator.h"

#include <algorithm>

#include "base/error.h"
#include "plan/layer_traffic.h"
#include "plan/memory.h"
#include "plan/stages.h"
#include "plan/state_memory.h"
#include "sim/analytic.h"
#include "study/predict.h"

namespace isochrone::study {
namespace {

using plan::ScheduleKind;

/// Stages lie on ranks in one of these ways.
int PlacementOf(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::kZbV:
    case ScheduleKind::kVHalf:
    case ScheduleKind::kVMin:
    case ScheduleKind::kDualPipeV:
      return 1;
    case ScheduleKind::kDualPipe:
      return 2;
    default:
      return 0;
  }
}

/// A hair less, for sums that round differently.
double Below(double seconds) { return seconds * (1 - 1e-9); }

}  // namespace

std::size_t Evaluator::CutHash::operator()(const Cut& cut) const {
  std::size_t hash = 0x9e3779b97f4a7c15u;
  for (std::int32_t v : cut) hash = (hash ^ static_cast<std::uint32_t>(v)) * 0xff51afd7ed558ccdu, hash ^= hash >> 32;
  return hash;
}

void Evaluator::EnterModel() {
  cuts_.clear();
  for (auto& [layout, shapes] : shapes_) {
    for (auto& of_kind : shapes) {
      for (Accepted& known : of_kind) known.cuts.clear();
    }
  }
  prefix_ = -1;
}

void Evaluator::EnterBlock(std::int64_t unit, std::int64_t prefix) {
  if (prefix != prefix_) {
    steps_.clear();
    step_store_ = shared_.StepsOf(prefix);
  }
  prefix_ = prefix;
  profiles_.fill(-1);
  blocks_.clear();
  block_store_ = shared_.BlocksOf(unit);
  costs_.clear();
  least_.clear();
}

void Evaluator::EnterLayout(const plan::Scenario& scenario) {
  layout_ = plan::LayoutOf(scenario);
  plain_ = &BlockOf(scenario, {});
  used_ = 0;
  lane_of_.clear();
  cut_ = {};
}

int Evaluator::ProfileOf(const plan::Scenario& scenario) {
  int& known = profiles_[static_cast<std::size_t>(scenario.strategy.optimizer_sharding)];
  if (known >= 0) return known;
  const plan::Strategy& s = scenario.strategy;
  const auto name = [&](plan::Sharding sharding) {
    return costmodel::FrameworkOf(s.framework, scenario.cluster.node.gpu, s.compiled, sharding).name;
  };
  known = static_cast<int>(s.optimizer_sharding);
  for (std::size_t i = 0; i < profiles_.size(); ++i) {
    const auto other = static_cast<plan::Sharding>(i);
    if (profiles_[i] >= 0 && other != s.optimizer_sharding && name(other) == name(s.optimizer_sharding))
      return known = profiles_[i];
  }
  return known;
}

Evaluator::Block& Evaluator::BlockOf(const plan::Scenario& scenario, const BlockKey& key) {
  for (const auto& block : blocks_) {
    if (block->key == key) return *block;
  }
  const auto make = [&] {
    plan::Scenario plain = scenario;  // one chunk a rank: where layers are cut does not matter to their programs
    plan::Strategy& s = plain.strategy;
    s.pipeline = std::min(s.pipeline, 2);
    s.chunks_per_rank = 1;
    s.schedule = ScheduleKind::k1f1b;
    s.first_stage_layers = s.last_stage_layers = 0;
    s.account_embedding_in_split = false;
    if (key == BlockKey{}) {
      s.optimizer_sharding = plan::Sharding::kNone;
      s.shard_group = 0;
    }
    return ShapeOfBlocks(plain, block_store_->Bare(plain));
  };
  blocks_.push_back(std::make_unique<Block>());
  blocks_.back()->key = key;
  blocks_.back()->shape = &block_store_->shapes.Get(key, make);
  return *blocks_.back();
}

const costmodel::Costs& Evaluator::CostsNow(const plan::Scenario& scenario, int profile) {
  auto it = costs_.find(profile);
  if (it == costs_.end()) it = costs_.emplace(profile, CostsOf(scenario)).first;
  layout_.shard = scenario.strategy.shard_group;
  it->second.MoveTo(layout_);
  return it->second;
}

const BlockPrices& Evaluator::PricesOf(const plan::Scenario& scenario, const Lane& lane) {
  layout_.shard = scenario.strategy.shard_group;
  const BlockShape& shape = *lane.block->shape;
  PricesKey key{lane.key, lane.profile, {}};
  for (plan::Group group : shape.groups) {
    const plan::GroupShape of = plan::ShapeOf(layout_, group);
    key.shapes.insert(key.shapes.end(), {of.size, of.per_node, of.nodes, of.sharing});
  }
  return block_store_->prices.Get(key, [&] {
    const costmodel::Costs& costs = CostsNow(scenario, lane.profile);
    BlockPrices prices{PriceBlocks(shape, costs), {}, {}, costs.ContentionOf(), costs.HostTimePerStep().value,
                       costs.HostOfBatch().value};
    prices.compute = ComputeAloneOf(shape, prices.layers);
    for (const bool several : {false, true}) prices.least_work[several] = LeastWork(shape, prices.layers, several);
    return prices;
  });
}

Evaluator::Lane& Evaluator::LaneOf(const plan::Scenario& scenario) {
  const plan::Strategy& s = scenario.strategy;
  BlockKey key{};
  if (plan::ReducesEveryMicrobatch(s)) {
    const bool gathers = s.optimizer_sharding == plan::Sharding::kZero3;
    const int form = 1 + 2 * s.overlap_data + 4 * (gathers && s.overlap_parameter_gather);
    key = {form, static_cast<int>(s.optimizer_sharding), s.data, s.shard_group};
  }
  const int profile = ProfileOf(scenario);
  for (std::size_t i = 0; i < used_; ++i) {
    if (lanes_[i]->profile == profile && lanes_[i]->key == key) return *lanes_[i];
  }
  if (used_ == lanes_.size()) lanes_.push_back(std::make_unique<Lane>());
  lane_ = lanes_[used_++].get();
  lane_->profile = profile;
  lane_->key = key;
  lane_->message = {};
  lane_->cut = lane_->counted = lane_->entered = -1;
  lane_->block = &BlockOf(scenario, key);
  lane_->prices = &PricesOf(scenario, *lane_);
  costmodel::Contention contention = lane_->prices->contention;
  costmodel::HoldForBuckets(scenario.cluster, layout_, contention);
  lane_->beside_data = BesideData(contention, lane_->prices->compute);
  return *lane_;
}

void Evaluator::EnterStep(const plan::Scenario& scenario, int combination) {
  const auto c = static_cast<std::size_t>(combination);
  if (lane_of_.size() <= c) lane_of_.resize(c + 1, nullptr);
  if (!lane_of_[c]) lane_of_[c] = &LaneOf(scenario);
  lane_ = lane_of_[c];
  combination_ = combination;
}

double Evaluator::LeastComputeTime(const plan::Scenario& scenario) {
  const int profile = ProfileOf(scenario);
  const auto key = std::pair(profile, scenario.strategy.pipeline > 1);
  auto it = least_.find(key);
  if (it == least_.end()) {
    const costmodel::Costs& costs = CostsNow(scenario, profile);
    it = least_.emplace(key, std::pair(LeastCompute(*plain_->shape, costs, key.second), costs.HostTimePerStep().value))
             .first;
  }
  return Below(scenario.Microbatches() * it->second.first / scenario.strategy.pipeline + it->second.second);
}

double Evaluator::LeastMemory(const plan::Scenario& scenario) const {
  const double parameters = plain_->shape->parameters[scenario.strategy.pipeline > 1] / scenario.strategy.pipeline;
  return Below(parameters * plan::LeastStateOfParameter(scenario.strategy).value);
}

double Evaluator::LeastStepTime(const plan::Scenario& scenario) const {
  const int ranks = scenario.strategy.pipeline;
  const BlockPrices& prices = *lane_->prices;
  return Below(scenario.Microbatches() * (prices.least_work[ranks > 1] / ranks + prices.batch) + prices.host);
}

bool Evaluator::Accepts(const plan::Scenario& scenario) {
  const plan::ScheduleShape shape = ScheduleShapeOf(scenario);
  if (accepted_now_ && shape == shape_) return accepted_now_->legal;
  if (!shapes_now_ || shape.ranks != shape_.ranks || shape.microbatches != shape_.microbatches)
    shapes_now_ = &shapes_[{shape.ranks, shape.microbatches}];
  shape_ = shape;
  ++shapes_entered_;
  auto& of_kind = (*shapes_now_)[static_cast<std::size_t>(shape.kind)];
  const auto chunks = static_cast<std::size_t>(shape.chunks);
  if (of_kind.size() < chunks) of_kind.resize(chunks);
  accepted_now_ = &of_kind[chunks - 1];
  if (!accepted_now_->known) {
    accepted_now_->known = true;
    try {
      plan::TheoryOf(shape_, {});  // checks the shape itself too
      accepted_now_->legal = true;
    } catch (const Error&) {
    }
  }
  return accepted_now_->legal;
}

const InFlight& Evaluator::InFlightNow() {
  if (!accepted_now_->in_flight) accepted_now_->in_flight = &shared_.InFlightOfShape(shape_);
  return *accepted_now_->in_flight;
}

void Evaluator::EnterPipeline(const plan::Scenario& scenario) {
  const plan::Strategy& s = scenario.strategy;
  const Cut cut = {
      1 + PlacementOf(s.schedule),    shape_.ranks,         shape_.chunks,       s.data,
      static_cast<int>(s.rank_order), s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split};
  if (cut != cut_) {
    cut_ = cut;
    cut_now_ = nullptr;
    steps_now_ = &steps_[cut];
    ++cuts_entered_;
  }
  ++entered_;
}

/// Brings the lane's terms up to the present pipeline.
void Evaluator::Refresh(const plan::Scenario& scenario) {
  if (lane_->entered == entered_) return;
  lane_->entered = entered_;
  const plan::Strategy& s = scenario.strategy;
  auto& message = lane_->message[s.scatter_gather + 2 * s.overlap_pipeline];
  if (!message) message = TermsOfMessage(scenario, CostsNow(scenario, lane_->profile)).seconds;
  if (lane_->cut != cuts_entered_) {
    lane_->cut = cuts_entered_;
    lane_->counted = -1;
    AddUpStages(s, *lane_->block->shape, lane_->prices->layers, lane_->prices->batch, CutNow(scenario), lane_->stages);
  }
  const double message_buffers = plan::MessageBuffers(scenario).value;
  if (lane_->message_buffers != message_buffers) lane_->counted = -1;
  lane_->message_buffers = message_buffers;
  const plan::MessageMode mode = plan::MessageModeOf(s);
  const sim::OrderPaths* paths = sim::HasPaths(shape_.kind) ? PathsNow(scenario, mode) : nullptr;
  lane_->pipeline = TermsOfPipeline(shape_, lane_->stages, *message, mode, paths);
}

Evaluator::ShapeOfCut& Evaluator::ShapeOfCutNow(const plan::Scenario& scenario) {
  const StageCut& cut = CutNow(scenario);
  auto& cuts = accepted_now_->cuts;
  const auto known = std::find_if(cuts.begin(), cuts.end(), [&](const ShapeOfCut& of) { return of.cut == &cut; });
  if (known != cuts.end()) return *known;
  cuts.push_back({&cut, &shared_.HeldOfCut(shape_, InFlightNow(), cut), {}});
  return cuts.back();
}

const sim::OrderPaths* Evaluator::PathsNow(const plan::Scenario& scenario, plan::MessageMode mode) {
  const sim::OrderPaths*& paths = ShapeOfCutNow(scenario).paths[static_cast<std::size_t>(mode)];
  if (!paths) paths = &shared_.PathsOfOrder(KeyOfPaths(shape_, CutNow(scenario), mode));
  return paths;
}

const StageCut& Evaluator::CutNow(const plan::Scenario& scenario) {
  if (cut_now_) return *cut_now_;
  const plan::Strategy& s = scenario.strategy;
  const std::array<std::int32_t, 5> key = {plan::StagesOf(s), s.first_stage_layers, s.last_stage_layers,
                                           s.account_embedding_in_split, s.recompute_layers};
  auto it = cuts_.find(key);
  if (it == cuts_.end()) it = cuts_.emplace(key, CutOf(scenario, plain_->shape->table)).first;
  cut_now_ = &it->second;
  return *cut_now_;
}

double Evaluator::LeastPipelineTime(const plan::Scenario& scenario) {
  Refresh(scenario);
  const bool barrier = scenario.strategy.optimizer_barrier == plan::OptimizerBarrier::kGlobalNorm;
  return Below(lane_->pipeline.makespan - (barrier ? 0 : lane_->pipeline.late) + lane_->prices->host);
}

StepTerms Evaluator::MakeStep(const plan::Scenario& scenario) {
  Block& block = *lane_->block;
  if (!block.sample) block.sample = SampleOf(*block.shape);
  return TermsOfStep(scenario, CutNow(scenario), InFlightNow(), CostsNow(scenario, lane_->profile), *block.sample);
}

/// Brings the lane's activations up to the present pipeline.
void Evaluator::Count(const plan::Scenario& scenario) {
  Refresh(scenario);
  if (lane_->counted == shapes_entered_) return;
  lane_->counted = shapes_entered_;
  lane_->activations.resize(static_cast<std::size_t>(InFlightNow().ranks));
  ActivationBytes(*ShapeOfCutNow(scenario).held, lane_->stages, lane_->message_buffers, lane_->activations);
}

double Evaluator::LeastPipelineMemory(const plan::Scenario& scenario) {
  Count(scenario);
  const InFlight& in_flight = InFlightNow();
  const double each = plan::LeastStateOfParameter(scenario.strategy).value;
  const int* stage = in_flight.stage.data();
  double most = 0;
  for (double activations : lane_->activations) {
    double parameters = 0;
    for (int c = 0; c < in_flight.chunks; ++c) {
      const int kind = CutNow(scenario).kind[static_cast<std::size_t>(*stage++)];
      parameters += lane_->stages.parameters[static_cast<std::size_t>(kind)];
    }
    most = std::max(most, activations + each * parameters);
  }
  return Below(most);
}

double Evaluator::Memory(const plan::Scenario& scenario) {
  Count(scenario);
  const auto c = static_cast<std::size_t>(combination_);
  if (steps_now_->size() <= c) steps_now_->resize(c + 1, nullptr);
  const StepTerms*& step = (*steps_now_)[c];
  if (!step) step = &step_store_->Get({cut_, combination_}, [&] { return MakeStep(scenario); });
  step_ = step;
  bytes_.resize(lane_->activations.size());
  memory_ = AddState(lane_->activations, *step_, bytes_);
  return memory_;
}

const AroundTerms& Evaluator::AroundNow() {
  const int kind = AroundKind(shape_.kind);
  const auto i = static_cast<std::size_t>(combination_ * kAroundKinds + kind);
  if (lane_->around.size() <= i) lane_->around.resize(i + 1);
  Lane::Around& known = lane_->around[i];
  if (known.cut != lane_->cut) {
    known.cut = lane_->cut;
    known.terms = TermsAround(shape_.kind, lane_->stages, *step_, lane_->beside_data);
  }
  return known.terms;
}

Estimate Evaluator::Evaluate() {
  const BlockPrices& prices = *lane_->prices;
  Estimate estimate = step_->barrier
                          ? EstimateStep(lane_->pipeline, AroundNow(), prices.host)
                          : EstimateStep(lane_->pipeline, lane_->stages, *step_, lane_->beside_data, prices.host);
  estimate.memory = memory_;
  return estimate;
}

double Evaluator::ModelFlops(const plan::Scenario& scenario) const {
  const plan::Strategy& s = scenario.strategy;
  return plain_->shape->model_flops[s.pipeline > 1] * s.tensor * s.context * s.data * scenario.Microbatches();
}

}  // namespace isochrone::study
