#include "executor/rank.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/rope.h"
#include "plan/layer_traffic.h"

namespace isochrone::executor {
namespace {

constexpr double kRotaryBase = 10000;

template <class T>
void SetRotary(OpSettings<T>& settings) {
  const Index D = settings.model->head_dim, half = D / 2;
  settings.cosine.resize(static_cast<std::size_t>(settings.positions.Local() * half));
  settings.sine.resize(settings.cosine.size());
  for (const PositionRun& run : settings.positions.Runs()) {
    kernels::RopeTable<T>(run.whole, run.length, D, kRotaryBase, settings.cosine.data() + run.local * half,
                          settings.sine.data() + run.local * half);
  }
}

bool IsTable(const std::string& name) { return name == "embedding.weight" || name == "logits.weight"; }

}  // namespace

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
      memory_(options_.memory_limit_bytes) {
  const plan::Model& model = scenario_.model;
  settings_.model = &model;
  settings_.strategy = &scenario_.strategy;
  settings_.positions = Positions(model, scenario_.strategy, at_.cp);
  settings_.token_weight = 1 / static_cast<double>(scenario_.batch.sequences * model.sequence);
  settings_.seed = options_.seed;
  if (model.position == plan::PositionKind::kRotary) SetRotary(settings_);
  slots_.resize(static_cast<std::size_t>(plan_.schedule.placement.chunks));
  for (int chunk = 0; chunk < plan_.schedule.placement.chunks; ++chunk) BuildSlot(chunk);
  ListVisits();
  for (const plan::LayerProgram& program : plan_.programs) {
    auto& seconds = times_.seconds.emplace_back();
    for (std::size_t phase = 0; phase < plan::kPhases; ++phase) seconds[phase].resize(program.ops[phase].size());
  }
  times_.count = times_.seconds;
}

template <class T>
void Rank<T>::BuildSlot(int chunk) {
  Slot& slot = slots_[static_cast<std::size_t>(chunk)];
  const plan::Placement& place = plan_.schedule.placement;
  slot.stage = place.StageOf(at_.pp, chunk);
  slot.direction = place.DirectionOf(at_.pp, chunk);
  for (const plan::Section& section : plan_.stages[static_cast<std::size_t>(slot.stage)].sections) {
    const plan::LayerProgram& program = plan_.programs[static_cast<std::size_t>(section.program)];
    for (int i = 0; i < section.count; ++i) {
      Layer layer{.program = &program,
                  .program_index = section.program,
                  .layer = section.first_layer < 0 ? -1 : section.first_layer + i,
                  .parameter = std::vector<Parameter<T>*>(program.buffers.size(), nullptr),
                  .uses = {}};
      for (std::size_t b = 0; b < program.buffers.size(); ++b) {
        const plan::Buffer& buffer = program.buffers[b];
        if (buffer.kind == plan::BufferKind::kParameter)
          layer.parameter[b] = AddParameter(slot, program, buffer, layer.layer);
      }
      for (std::size_t b = 0; b < program.buffers.size(); ++b) {
        const plan::Buffer& gradient = program.buffers[b];
        for (std::size_t p = 0; gradient.kind == plan::BufferKind::kGradient && p < program.buffers.size(); ++p) {
          if (gradient.name == "d_" + program.buffers[p].name) layer.parameter[b] = layer.parameter[p];
        }
      }
      for (Parameter<T>* p : layer.parameter) {
        if (p != nullptr && std::find(layer.uses.begin(), layer.uses.end(), p) == layer.uses.end())
          layer.uses.push_back(p);
      }
      slot.layers.push_back(std::move(layer));
    }
  }
  for (std::size_t l = 0; l + 1 < slot.layers.size(); ++l) {
    const plan::LayerProgram& next = *slot.layers[l + 1].program;
    slot.layers[l].output_is_kept =
        next.buffers[static_cast<std::size_t>(next.input)].lifetime == plan::Lifetime::kMicrobatch;
  }
}

template <class T>
Parameter<T>* Rank<T>::AddParameter(Slot& slot, const plan::LayerProgram& program, const plan::Buffer& buffer,
                                    int layer) {
  if (buffer.borrowed) {
    for (Slot& other : slots_) {
      for (auto& p : other.parameters) {
        if (p->key == buffer.name) return p.get();
      }
    }
    ISO_CHECK_NOTE(false, program.name + " borrows " + buffer.name);
  }
  auto p = std::make_unique<Parameter<T>>(ShardOf<T>(scenario_.model, buffer, layer, CutOf()));
  p->tied = scenario_.model.tied_embeddings && IsTable(buffer.name) && plan_.stages.size() > 1;
  if (scenario_.model.tied_embeddings && buffer.name == "logits.weight") {
    p->key = "embedding.weight";
    p->counts = false;
  }
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
CutAt Rank<T>::CutOf() {
  CutAt at{.tensor_rank = at_.tp, .tensor_size = plan_.layout.tp, .experts = {}};
  if (!scenario_.model.moe) return at;
  at.expert_tensor_rank = TeamOf(plan::Group::kExpertTensor).index;
  at.expert_tensor_size = plan_.layout.etp;
  at.expert_count = scenario_.model.moe->experts;
  for (int i = 0; i < at.expert_count / plan_.layout.ep; ++i)
    at.experts.push_back(ExpertAt(scenario_, TeamOf(plan::Group::kExpert).index, i));
  return at;
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
  p.padded = (p.Count() + owners - 1) / owners * owners;
  p.owned = p.padded / owners;
  p.first_owned = owners > 1 ? team.index * p.owned : 0;
  p.value = Zeros(plan::BufferKind::kParameter, p.padded, p.key);
}

/// Gradient and optimizer state; of what is whole only while a layer works, this rank's share.
template <class T>
void Rank<T>::KeepShares(Parameter<T>& p) {
  const plan::Strategy& s = scenario_.strategy;
  const plan::Layout& l = plan_.layout;
  const bool copies = (p.expert ? l.Edp() : l.dp * l.cp) > 1;
  if (s.optimizer_sharding == plan::Sharding::kZero3 && p.owned < p.padded) {
    p.value_share = Zeros(plan::BufferKind::kParameter, p.owned, p.key);
    std::memcpy(p.value_share->template As<T>(), p.value->template As<T>() + p.first_owned, p.value_share->Size());
    p.value.reset();
  }
  if (plan::ReducesEveryMicrobatch(s) && copies) {
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
std::vector<Parameter<T>*> Rank<T>::ParametersOf(int chunk) {
  std::vector<Parameter<T>*> all;
  for (auto& p : slots_[static_cast<std::size_t>(chunk)].parameters) all.push_back(p.get());
  return all;
}

template <class T>
std::vector<Parameter<T>*> Rank<T>::Parameters() {
  std::vector<Parameter<T>*> all;
  for (std::size_t chunk = 0; chunk < slots_.size(); ++chunk) {
    const std::vector<Parameter<T>*> some = ParametersOf(static_cast<int>(chunk));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
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
