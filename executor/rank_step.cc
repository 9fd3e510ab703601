// What surrounds a rank's tasks: gradients are reduced, the norm taken, parameters updated and gathered.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "executor/rank.h"
#include "kernels/vector.h"

namespace isochrone::executor {
template <class T>
StepRecord Rank<T>::Step(int step) {
  step_ = step;
  record_ = {};
  squared_norm_ = 0;
  state_.StartStep();
  record_.start = clock_.Now();
  RunSide(plan::Anchor::kStepStart);
  const std::size_t stage = static_cast<std::size_t>(at_.pp);
  for (const plan::Op& op : plan_.prologue[stage]) RunStepOp(op, -1, 0, 1);
  const std::vector<plan::Task>& order = plan_.schedule.order[stage];
  for (std::size_t i = 0; i < order.size(); ++i) {
    walk_.RunTask(order[i]);
    if (options_.take_turns) Meet();
    RunSide(static_cast<int>(i));
  }
  AddCopies();
  AddTiedTables();
  for (const plan::Op& op : plan_.epilogue[stage]) {
    if (op.name == "optimizer" && !std::isfinite(squared_norm_) && !checks_values_) {
      checks_values_ = true;  // every rank has the same norm, so all do so
      ZeroGradients();
      return Step(step);
    }
    RunStepOp(op, -1, 0, 1);
  }
  record_.end = clock_.Now();
  return record_;
}

template <class T>
void Rank<T>::Meet() {
  T nothing = 0;
  const Slice<T> slice{&nothing, &nothing, 1};
  communicator_.AllReduce(TeamOf(plan::Group::kWorld), {&slice, 1});
}

/// Side tasks run where they are anchored: one stream does everything, so nothing is hidden.
template <class T>
void Rank<T>::RunSide(int after_task) {
  std::vector<const plan::SideTask*> now;
  for (const plan::SideTask& side : plan_.side) {
    if (side.rank == at_.pp && side.after.task == after_task) now.push_back(&side);
  }
  if (now.empty()) return;
  if (after_task == plan::Anchor::kStepStart) {
    if (step_ == 0) return;  // first parameters are whole
    for (const plan::SideTask* side : now) {
      const plan::Task& before =
          plan_.schedule.order[static_cast<std::size_t>(at_.pp)][static_cast<std::size_t>(side->before.task)];
      RunStepOp(side->op, before.chunk, 0, 1);
    }
    return;
  }
  const plan::Task& task = plan_.schedule.order[static_cast<std::size_t>(at_.pp)][static_cast<std::size_t>(after_task)];
  const int chunk = task.phase == plan::Phase::kOverlapped ? task.chunk_b : task.chunk;
  std::map<std::string, int> parts, part;
  for (const plan::SideTask* side : now) ++parts[side->op.name];
  for (const plan::SideTask* side : now) RunStepOp(side->op, chunk, part[side->op.name]++, parts[side->op.name]);
}

template <class T>
void Rank<T>::RunStepOp(const plan::Op& op, int chunk, int part, int parts) {
  doing_ = "op " + op.name + " of the step";
  if (options_.before_op) options_.before_op(rank_, step_, op);
  const double start = clock_.Now();
  const std::vector<Parameter<T>*> all = chunk < 0 ? Parameters() : walk_.ParametersOf(chunk);
  const auto some = [&](auto which) {
    std::vector<Parameter<T>*> chosen;
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen), which);
    return chosen;
  };
  worked_ = -1;
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  const bool of_experts = collective != nullptr && collective->group == plan::Group::kExpertData;
  const auto kind = [&](const Parameter<T>* p) { return p->expert == of_experts; };
  if (op.name == "gradients" || op.name == "gradient_shards" || op.name == "expert_gradients") {
    Reduce(op, Bucket(some(kind), part, parts));
  } else if (op.name == "parameters" || op.name == "expert_parameters") {
    worked_ = 0;
    if (scenario_.strategy.optimizer_sharding == plan::Sharding::kZero3) state_.FetchAhead(of_experts);
    else Gather(some(kind));
  } else if (op.name == "norm_gradients") {
    AllReduceGradients(plan::Group::kTensor, some([](const Parameter<T>* p) { return p->partial_over_tensor; }),
                       op.stream);
  } else if (op.name == "tied_embedding_gradient") {
    const std::vector<Parameter<T>*> tables = some([](const Parameter<T>* p) { return p->tied; });
    if (tables.size() == 1) AllReduceGradients(plan::Group::kEmbedding, tables, op.stream);
  } else if (op.name == "twin_gradients") {
    worked_ = 0;  // done before the epilogue, whole: AddCopies
  } else if (op.name == "gradient_norm") {
    LocalNorm();
  } else if (op.name == "gradient_norm_reduce") {
    T sum = static_cast<T>(squared_norm_);
    const Slice<T> slice{&sum, &sum, 1};
    Account(op.stream, communicator_.AllReduce(TeamOf(plan::Group::kWorld), {&slice, 1}));
    squared_norm_ = static_cast<double>(sum);
  } else if (op.name == "optimizer") {
    Update();
  } else {
    throw Error("op " + op.name + " of the step", "the CPU does not run it",
                "use optimizer_sharding none or zero1, no experts, and optimizer_barrier global_norm");
  }
  const double end = clock_.Now();
  const double seconds = worked_ >= 0 ? worked_ : end - start;
  if (worked_ < 0) record_.attribution.optimizer += Seconds(seconds);
  if (Counts()) {
    auto& [sum, count] = times_.step_ops[op.name];
    sum += seconds;
    count += 1;
  }
  record_.spans.push_back({.start = start,
                           .end = end,
                           .rank = rank_,
                           .kind = plan::SpanKind::kEpilogue,
                           .stream = op.stream,
                           .task = {},
                           .name = NameIndex(op.name)});
  progress_();
}

/// Over the ranks that hold copies. Where every layer has reduced its own (ZeRO-2, 3) there is nothing left to do.
template <class T>
void Rank<T>::Reduce(const plan::Op& op, const std::vector<Parameter<T>*>& parameters) {
  const plan::Collective& c = std::get<plan::Collective>(op.kind);
  worked_ = 0;
  std::vector<Slice<T>> slices;
  for (const Parameter<T>* p : parameters) {
    if (p->gradient_share) continue;
    T *whole = p->gradient->template As<T>(), *owned = p->OwnedGradient();
    if (op.name == "gradient_shards") slices.push_back({owned, owned, p->owned});
    else slices.push_back({whole, owned, p->padded});
  }
  const Team& team = TeamOf(c.group);
  if (team.Size() == 1 || slices.empty()) return;
  Account(plan::Stream::kData, c.kind == plan::CollectiveKind::kReduceScatter
                                   ? communicator_.ReduceScatter(team, slices)
                                   : communicator_.AllReduce(team, slices));
}

/// Updated parameters, whole again on every rank. All of one kind.
template <class T>
void Rank<T>::Gather(const std::vector<Parameter<T>*>& parameters) {
  worked_ = 0;
  std::vector<Slice<T>> slices;
  for (const Parameter<T>* p : parameters) {
    if (p->owned < p->padded) slices.push_back({p->OwnedValue(), p->value->template As<T>(), p->padded});
  }
  if (slices.empty()) return;
  const Team& team = TeamOf(parameters.front()->expert ? plan::Group::kExpertData : plan::Group::kShard);
  Account(plan::Stream::kData, communicator_.AllGather(team, slices));
}

template <class T>
void Rank<T>::AllReduceGradients(plan::Group group, const std::vector<Parameter<T>*>& parameters, plan::Stream stream) {
  std::vector<Slice<T>> slices;
  for (const Parameter<T>* p : parameters) {
    T* g = p->KeptGradient();
    slices.push_back({g, g, p->KeptGradients()});
  }
  Account(stream, communicator_.AllReduce(TeamOf(group), slices));
}

/// Where one rank holds both copies of a tied table, their gradients are added here. What data-parallel ranks own of
/// the two copies is the same range, so it may come before or after their reduction.
template <class T>
void Rank<T>::AddTiedTables() {
  std::vector<Parameter<T>*> tables;
  for (Parameter<T>* p : Parameters()) {
    if (p->tied) tables.push_back(p);
  }
  if (tables.size() != 2) return;
  T *a = tables[0]->KeptGradient(), *b = tables[1]->KeptGradient();
  kernels::Add<T>(tables[0]->KeptGradients(), a, b, a);
  std::memcpy(b, a, static_cast<std::size_t>(tables[0]->KeptGradients()) * sizeof(T));
}

/// A bidirectional schedule holds every stage twice, on ranks r and p − 1 − r of a pipeline: the copies' gradients are
/// added up. Both ranks list the stage of the lower rank's first direction first.
template <class T>
void Rank<T>::AddCopies() {
  if (plan_.schedule.placement.directions == 1) return;
  plan::Coordinates other = at_;
  other.pp = plan_.layout.pp - 1 - at_.pp;
  const int peer = plan::RankAt(plan_.layout, other);
  const Team team{.ranks = {std::min(rank_, peer), std::max(rank_, peer)}, .index = rank_ < peer ? 0 : 1};
  std::vector<Slice<T>> slices;
  for (const int chunk : rank_ < peer ? std::vector<int>{0, 1} : std::vector<int>{1, 0}) {
    for (const Parameter<T>* p : walk_.ParametersOf(chunk))
      slices.push_back({p->KeptGradient(), p->KeptGradient(), p->KeptGradients()});
  }
  Account(plan::Stream::kData, communicator_.AllReduce(team, slices));
}

/// Squares of this rank's gradients, each element counted once over all ranks.
template <class T>
void Rank<T>::LocalNorm() {
  squared_norm_ = std::isfinite(record_.loss) ? 0 : record_.loss;
  for (const Parameter<T>* p : Parameters()) {
    if (!p->counts) continue;
    const T* gradient = p->OwnedGradient();
    std::vector<double> parts(static_cast<std::size_t>(workers_.Threads()), 0.0);
    workers_.Split(p->owned, LeastRows(1), [&](Index begin, Index end, int part) {
      parts[static_cast<std::size_t>(part)] = kernels::SquaredNorm<T>(end - begin, gradient + begin);
    });
    squared_norm_ += std::accumulate(parts.begin(), parts.end(), 0.0) / CopiesOf(plan_, *p);
  }
}

template <class T>
void Rank<T>::Update() {
  const double norm = std::sqrt(squared_norm_);
  record_.gradient_norm = norm;
  if (!std::isfinite(norm)) {
    throw Error(Doing(), "the norm of the gradients is not a finite number",
                "lower the learning rate or clip gradients");
  }
  const T scale = static_cast<T>(kernels::ClipFactor(norm, options_.clip_norm));
  for (Parameter<T>* p : Parameters()) {
    kernels::AdamWOptions adam = options_.adam;
    if (!p->decays) adam.weight_decay = 0;
    workers_.Split(p->owned, LeastRows(1), [&](Index begin, Index end, int) {
      kernels::AdamW<T>(end - begin, step_ + 1, adam, scale, p->OwnedGradient() + begin, p->OwnedValue() + begin,
                        p->first_moment->template As<T>() + begin, p->second_moment->template As<T>() + begin);
    });
  }
  const bool last = step_ + 1 == options_.steps;
  if (!(last && options_.keep_tensors)) ZeroGradients();
}

template <class T>
void Rank<T>::ZeroGradients() {
  for (const Parameter<T>* p : Parameters()) {
    const Memory::Handle& kept = p->gradient_share ? p->gradient_share : p->gradient;
    std::memset(kept->template As<T>(), 0, kept->Size());
  }
}

template <class T>
void Rank<T>::Finish() {
  const plan::Sharding sharding = scenario_.strategy.optimizer_sharding;
  if (!scenario_.strategy.overlap_parameter_gather || sharding == plan::Sharding::kZero3) return;
  for (const bool expert : {false, true}) {
    std::vector<Parameter<T>*> some;
    for (Parameter<T>* p : Parameters()) {
      if (p->expert == expert) some.push_back(p);
    }
    if (!some.empty()) Gather(some);
  }
}

template StepRecord Rank<float>::Step(int);
template StepRecord Rank<double>::Step(int);
template void Rank<float>::Finish();
template void Rank<double>::Finish();

}  // namespace isochrone::executor
