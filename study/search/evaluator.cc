#include "study/search/evaluator.h"

#include <algorithm>

#include "base/error.h"
#include "plan/layer_traffic.h"
#include "plan/memory.h"
#include "plan/stages.h"
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

double LeastWork(const plan::ProgramTable& table, const std::vector<LayerTerms>& prices) {
  const auto least = [&](int program) {
    const LayerTerms& t = prices[static_cast<std::size_t>(program)];
    return std::min({t.forward + t.backward, t.forward + t.input + t.weight, t.compute});
  };
  double sum = least(table.embedding) + least(table.head);
  for (const auto& programs : table.layer) sum += std::min(least(programs[0]), least(programs[1]));
  for (int program : table.multi_token) sum += least(program);
  return sum;
}

/// A hair less, for sums that round differently.
double Below(double seconds) { return seconds * (1 - 1e-9); }

}  // namespace

std::size_t Evaluator::StepHash::operator()(const StepKey& key) const {
  std::size_t hash = 0x9e3779b97f4a7c15u;
  for (std::int32_t v : key) hash = (hash ^ static_cast<std::uint32_t>(v)) * 0xff51afd7ed558ccdu, hash ^= hash >> 32;
  return hash;
}

void Evaluator::EnterModel() {
  cuts_.clear();
  steps_.clear();
}

void Evaluator::EnterBlock(int prefix) {
  if (prefix != prefix_) steps_.clear();
  prefix_ = prefix;
  profiles_.fill(-1);
  blocks_.clear();
  EnterLayout();
}

void Evaluator::EnterLayout() {
  used_ = 0;
  lane_ = nullptr;
  costs_.clear();
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

Evaluator::Block& Evaluator::BlockOf(const plan::Scenario& scenario, const Traffic& traffic) {
  const bool piped = scenario.strategy.pipeline > 1;
  for (const auto& block : blocks_) {
    if (block->piped == piped && block->traffic == traffic) return *block;
  }
  plan::Scenario plain = scenario;  // one chunk a rank: where layers are cut does not matter to their programs
  plan::Strategy& s = plain.strategy;
  s.pipeline = piped ? 2 : 1;
  s.chunks_per_rank = 1;
  s.schedule = ScheduleKind::k1f1b;
  s.first_stage_layers = s.last_stage_layers = 0;
  s.account_embedding_in_split = false;
  blocks_.push_back(std::make_unique<Block>(Block{piped, traffic, ShapeOfBlocks(plain), {}}));
  return *blocks_.back();
}

const costmodel::Costs& Evaluator::CostsNow(const plan::Scenario& scenario) {
  const std::pair key(lane_->profile, scenario.strategy.shard_group);
  const auto it = costs_.find(key);
  return it != costs_.end() ? it->second : costs_.emplace(key, CostsOf(scenario)).first->second;
}

Evaluator::Prices& Evaluator::PricesOf(const plan::Scenario& scenario, Lane& lane) {
  const plan::Layout layout = plan::LayoutOf(scenario);
  std::vector<plan::GroupShape> shapes;
  for (plan::Group group : lane.block->shape.groups) shapes.push_back(plan::ShapeOf(layout, group));
  for (const auto& prices : lane.block->prices) {
    if (prices->profile == lane.profile && prices->shapes == shapes) return *prices;
  }
  const costmodel::Costs& costs = CostsNow(scenario);
  Prices prices{lane.profile,
                std::move(shapes),
                PriceBlocks(lane.block->shape, costs),
                0,
                costs.ContentionOf(),
                costs.HostTimePerStep().value};
  prices.least_work = LeastWork(lane.block->shape.table, prices.layers);
  lane.block->prices.push_back(std::make_unique<Prices>(std::move(prices)));
  return *lane.block->prices.back();
}

void Evaluator::EnterStep(const plan::Scenario& scenario) {
  const plan::Strategy& s = scenario.strategy;
  Traffic traffic{};
  if (plan::ReducesEveryMicrobatch(s)) {
    const int form = 1 + 2 * s.overlap_data + 4 * s.overlap_parameter_gather;
    traffic = {form, static_cast<int>(s.optimizer_sharding), s.data, s.shard_group};
  }
  const int profile = ProfileOf(scenario);
  lane_ = nullptr;
  for (std::size_t i = 0; i < used_ && !lane_; ++i) {
    if (lanes_[i]->profile == profile && lanes_[i]->traffic == traffic) lane_ = lanes_[i].get();
  }
  if (lane_) return;
  if (used_ == lanes_.size()) lanes_.push_back(std::make_unique<Lane>());
  lane_ = lanes_[used_++].get();
  lane_->profile = profile;
  lane_->traffic = traffic;
  lane_->message = {};
  lane_->cut = {};
  lane_->entered = -1;
  lane_->block = &BlockOf(scenario, traffic);
  lane_->prices = &PricesOf(scenario, *lane_);
}

double Evaluator::LeastStepTime(const plan::Scenario& scenario) const {
  return Below(scenario.Microbatches() * lane_->prices->least_work / scenario.strategy.pipeline + lane_->prices->host);
}

Evaluator::Counted& Evaluator::CountsOf(const plan::ScheduleShape& shape) {
  const plan::ScheduleShape small = ShapeForCounting(shape);
  auto& counted = counted_[{static_cast<int>(small.kind), small.ranks, small.chunks, small.microbatches}];
  if (counted) return *counted;
  counted = std::make_unique<Counted>();
  try {
    plan::TheoryOf(shape, {});  // checks the shape itself too
    counted->legal = true;
  } catch (const Error&) {
    counted->legal = false;
  }
  return *counted;
}

bool Evaluator::Accepts(const plan::Scenario& scenario) { return CountsOf(ScheduleShapeOf(scenario)).legal; }

bool Evaluator::EnterPipeline(const plan::Scenario& scenario) {
  shape_ = ScheduleShapeOf(scenario);
  Counted& counted = CountsOf(shape_);
  if (!counted.legal) return false;
  if (!counted.in_flight) counted.in_flight = CountInFlight(plan::BuildSchedule(ShapeForCounting(shape_)));
  in_flight_ = &*counted.in_flight;
  ++entered_;
  return true;
}

/// Brings the lane's terms up to the present pipeline.
void Evaluator::Refresh(const plan::Scenario& scenario) {
  if (lane_->entered == entered_) return;
  lane_->entered = entered_;
  const plan::Strategy& s = scenario.strategy;
  auto& message = lane_->message[s.scatter_gather];
  if (!message) message = TermsOfMessage(scenario, CostsNow(scenario)).seconds;
  const Cut cut = {1 + static_cast<int>(shape_.kind),
                   shape_.ranks,
                   shape_.chunks,
                   shape_.microbatches,
                   s.first_stage_layers,
                   s.last_stage_layers,
                   s.account_embedding_in_split};
  if (cut != lane_->cut) {
    lane_->cut = cut;
    AddUpStages(s, lane_->block->shape, lane_->prices->layers, CutNow(scenario), lane_->stages);
    lane_->activations.resize(static_cast<std::size_t>(in_flight_->ranks));
    ActivationBytes(*in_flight_, lane_->stages,
                    plan::MessageBuffers(plan::MessageBytes(scenario), in_flight_->ranks).value, lane_->activations);
  }
  lane_->pipeline = TermsOfPipeline(shape_, lane_->stages, *message,
                                    s.overlap_pipeline ? plan::MessageMode::kOverlapped : plan::MessageMode::kBlocking);
}

const StageCut& Evaluator::CutNow(const plan::Scenario& scenario) {
  const plan::Strategy& s = scenario.strategy;
  const CutKey key = {plan::StagesOf(s), s.first_stage_layers, s.last_stage_layers, s.account_embedding_in_split,
                      s.recompute_layers};
  const auto it = cuts_.find(key);
  if (it != cuts_.end()) return it->second;
  return cuts_.emplace(key, CutOf(scenario, lane_->block->shape.table)).first->second;
}

double Evaluator::LeastPipelineTime(const plan::Scenario& scenario) {
  Refresh(scenario);
  return Below(lane_->pipeline.makespan + lane_->prices->host);
}

Evaluator::StepKey Evaluator::KeyOf(const plan::Scenario& scenario) const {
  const plan::Strategy& s = scenario.strategy;
  const int flags = s.overlap_data | s.overlap_parameter_gather << 1 | s.zero2_reduce_every_microbatch << 2 |
                    s.account_embedding_in_split << 3;
  return {prefix_,
          s.pipeline,
          s.data,
          static_cast<int>(s.rank_order),
          PlacementOf(s.schedule),
          in_flight_->chunks,
          s.first_stage_layers,
          s.last_stage_layers,
          flags,
          static_cast<int>(s.optimizer_sharding),
          s.shard_group};
}

double Evaluator::Memory(const plan::Scenario& scenario) {
  Refresh(scenario);
  const StepKey key = KeyOf(scenario);
  auto it = steps_.find(key);
  if (it == steps_.end()) {
    it =
        steps_
            .emplace(key, TermsOfStep(scenario, lane_->block->shape, CutNow(scenario), *in_flight_, CostsNow(scenario)))
            .first;
  }
  step_ = &it->second;
  bytes_.resize(lane_->activations.size());
  memory_ = AddState(lane_->activations, *step_, bytes_);
  return memory_;
}

Estimate Evaluator::Evaluate() const {
  Estimate estimate =
      EstimateStep(lane_->pipeline, lane_->stages, *in_flight_, *step_, lane_->prices->contention, lane_->prices->host);
  estimate.memory = memory_;
  return estimate;
}

double Evaluator::ModelFlops(const plan::Scenario& scenario) const {
  const plan::Strategy& s = scenario.strategy;
  return lane_->block->shape.model_flops * s.tensor * s.context * s.data * scenario.Microbatches();
}

}  // namespace isochrone::study
