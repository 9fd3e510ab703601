#include "executor/rank.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "executor/rotary.h"

namespace isochrone::executor {
template <class T>
Rank<T>::Rank(const RunPlan& run, int rank, Communicator<T>& communicator, Clock& clock, std::function<void()> progress)
    : run_(run),
      plan_(*run.plan),
      scenario_(*run.scenario),
      options_(*run.options),
      rank_(rank),
      at_(plan::CoordinatesOf(plan_.layout, rank)),
      communicator_(communicator),
      clock_(clock),
      progress_(std::move(progress)),
      memory_(options_.memory_limit_bytes),
      workers_(options_.threads) {
  const plan::Model& model = scenario_.model;
  settings_.model = &model;
  settings_.strategy = &scenario_.strategy;
  settings_.positions = Positions(model, scenario_.strategy, at_.cp);
  settings_.token_weight = 1 / static_cast<double>(scenario_.batch.sequences * model.sequence);
  settings_.seed = options_.seed;
  if (model.position == plan::PositionKind::kRotary)
    RotaryTables<T>(model, settings_.positions, settings_.cosine, settings_.sine);
  walk_.BuildSlots(plan_, at_.pp);
  state_.ListVisits(walk_.slots(), plan_.schedule.order[static_cast<std::size_t>(at_.pp)]);
  for (const plan::LayerProgram& program : plan_.programs) {
    auto& seconds = times_.seconds.emplace_back();
    for (std::size_t phase = 0; phase < plan::kPhases; ++phase) seconds[phase].resize(program.ops[phase].size());
  }
  times_.count = times_.seconds;
}

template <class T>
Parameter<T>* Rank<T>::AddParameter(Slot& slot, const plan::LayerProgram& program, const plan::Buffer& buffer,
                                    int layer) {
  if (buffer.borrowed) return walk_.Borrowed(program, buffer.name);
  auto p =
      std::make_unique<Parameter<T>>(ShardOf<T>(scenario_.model, buffer, layer, CutOf(scenario_, plan_.layout, rank_)));
  TieTable(scenario_.model, plan_.stages.size() > 1, buffer, *p);
  AllocateState(*p);
  if (options_.initial) {
    for (Index i = 0; i < p->Count(); ++i)
      p->value->template As<T>()[i] = static_cast<T>(options_.initial(p->key, p->FullIndex(i)));
  } else {
    Initialise(options_.seed, *p);
  }
  KeepShares(*p);
  slot.parameters.push_back(std::move(p));
  return slot.parameters.back().get();
}

template <class T>
Memory::Handle Rank<T>::Zeros(plan::BufferKind kind, Index n, const std::string& what) {
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  Memory::Handle block = memory_.Allocate(kind, bytes, what);
  std::memset(block->template As<T>(), 0, bytes);
  return block;
}

template <class T>
void Rank<T>::AllocateState(Parameter<T>& p) {
  const bool shards = scenario_.strategy.optimizer_sharding != plan::Sharding::kNone;
  const Team& team = TeamOf(p.expert ? plan::Group::kExpertData : plan::Group::kShard);
  const Index owners = shards ? team.Size() : 1;
  Own(owners, owners > 1 ? team.index : 0, p);
  p.value = Zeros(plan::BufferKind::kParameter, p.padded, p.key);
}

/// Gradient and optimizer state; of what is whole only while a layer works, this rank's share.
template <class T>
void Rank<T>::KeepShares(Parameter<T>& p) {
  const plan::Strategy& s = scenario_.strategy;
  if (SharesValue(s, p)) {
    p.value_share = Zeros(plan::BufferKind::kParameter, p.owned, p.key);
    std::memcpy(p.value_share->template As<T>(), p.value->template As<T>() + p.first_owned, p.value_share->Size());
    p.value.reset();
  }
  if (SharesGradient(s, plan_.layout, p)) {
    p.gradient_share = Zeros(plan::BufferKind::kGradient, p.owned, p.key);
  } else {
    p.gradient = Zeros(plan::BufferKind::kGradient, p.padded, p.key);
  }
  p.first_moment = Zeros(plan::BufferKind::kOptimizer, p.owned, p.key);
  p.second_moment = Zeros(plan::BufferKind::kOptimizer, p.owned, p.key);
}

template <class T>
const Team& Rank<T>::TeamOf(plan::Group group) {
  const auto it = teams_.find(group);
  if (it != teams_.end()) return it->second;
  Team team{.ranks = plan::RanksOf(plan_.layout, group, rank_)};
  team.index = static_cast<int>(std::find(team.ranks.begin(), team.ranks.end(), rank_) - team.ranks.begin());
  return teams_.emplace(group, std::move(team)).first->second;
}

template <class T>
std::string Rank<T>::Doing() const {
  return "rank " + std::to_string(rank_) + ", step " + std::to_string(step_) + (doing_.empty() ? "" : ", " + doing_);
}

template <class T>
int Rank<T>::NameIndex(const std::string& name) {
  const auto it = std::find(names_.begin(), names_.end(), name);
  if (it != names_.end()) return static_cast<int>(it - names_.begin());
  names_.push_back(name);
  return static_cast<int>(names_.size()) - 1;
}

template <class T>
void Rank<T>::Account(plan::Stream stream, const Exchange& exchange) {
  plan::Attribution& a = record_.attribution;
  const Seconds t(exchange.waited + exchange.worked);
  worked_ = exchange.worked;
  switch (stream) {
    case plan::Stream::kTensor:
      a.tensor += t;
      return;
    case plan::Stream::kContext:
      a.context += t;
      return;
    case plan::Stream::kExpert:
      a.expert += t;
      return;
    case plan::Stream::kPipeline:  // waiting for a stage is the bubble; the copy is the message
      a.pipeline += Seconds(exchange.worked);
      a.bubble += Seconds(exchange.waited);
      return;
    case plan::Stream::kData:
      a.data += Seconds(exchange.worked);
      a.bubble += Seconds(exchange.waited);
      return;
    case plan::Stream::kCompute:
    case plan::Stream::kCopy:
      a.copy += t;
      return;
  }
}

template class Rank<float>;
template class Rank<double>;

}  // namespace isochrone::executor
