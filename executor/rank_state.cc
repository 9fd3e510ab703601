// Parameters and gradients that are whole only while a layer works: ZeRO-2 and 3. Parameters are fetched while the
// layer before works, as plan/layer_traffic.h counts them; gradients are reduced when their layer's pass ends.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "executor/rank.h"
#include "kernels/vector.h"

namespace isochrone::executor {

using plan::Phase;

/// Layers in the order in which a step's passes need their parameters. The weight half of a backward pass needs none.
template <class T>
void Rank<T>::ListVisits() {
  const auto visit = [&](int chunk, bool backward) {
    const std::vector<Layer>& layers = walk_.slots()[static_cast<std::size_t>(chunk)].layers;
    for (std::size_t i = 0; i < layers.size(); ++i) visits_.push_back(&layers[backward ? layers.size() - 1 - i : i]);
  };
  for (const plan::Task& task : plan_.schedule.order[static_cast<std::size_t>(at_.pp)]) {
    if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped) visit(task.chunk, false);
    if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) visit(task.chunk, true);
    if (task.phase == Phase::kOverlapped) visit(task.chunk_b, true);
  }
}

template <class T>
void Rank<T>::Fetch(const std::vector<Parameter<T>*>& parameters) {
  for (const bool expert : {false, true}) {
    std::vector<Slice<T>> slices;
    for (Parameter<T>* p : parameters) {
      if (p->expert != expert) continue;
      if (p->value_users++ == 0) {
        p->value =
            memory_.Allocate(plan::BufferKind::kCommunication, static_cast<std::size_t>(p->padded) * sizeof(T), p->key);
      }
      slices.push_back({p->OwnedValue(), p->value->template As<T>(), p->padded});
    }
    if (slices.empty()) continue;
    const plan::Group group = expert ? plan::Group::kExpertData : plan::Group::kShard;
    Account(plan::Stream::kData, communicator_.AllGather(TeamOf(group), slices));
  }
}

/// Fetches what the next visit needs of one kind.
template <class T>
void Rank<T>::FetchAhead(bool expert) {
  worked_ = 0;
  if (visit_ >= visits_.size()) return;
  std::vector<Parameter<T>*> missing;
  for (Parameter<T>* p : visits_[visit_]->uses) {
    const bool held = std::find(ahead_.begin(), ahead_.end(), p) != ahead_.end();
    if (p->value_share && p->expert == expert && !held) missing.push_back(p);
  }
  if (missing.empty()) return;
  Fetch(missing);
  ahead_.insert(ahead_.end(), missing.begin(), missing.end());
}

template <class T>
void Rank<T>::EnterLayer(const Layer& layer, Phase phase) {
  if (phase != Phase::kBackwardWeight) {
    ISO_CHECK(visit_ < visits_.size() && visits_[visit_] == &layer);
    std::vector<Parameter<T>*> missing;
    for (Parameter<T>* p : layer.uses) {
      if (p->value_share && std::find(ahead_.begin(), ahead_.end(), p) == ahead_.end()) missing.push_back(p);
    }
    if (!missing.empty()) Fetch(missing);
    ahead_.clear();
    ++visit_;
  }
  if (phase != Phase::kBackward && phase != Phase::kBackwardInput) return;
  for (Parameter<T>* p : layer.uses) {
    if (!p->gradient_share || p->gradient_users++ > 0) continue;
    const std::size_t bytes = static_cast<std::size_t>(p->padded) * sizeof(T);
    p->gradient = memory_.Allocate(plan::BufferKind::kCommunication, bytes, p->key);
    std::memset(p->gradient->template As<T>(), 0, bytes);
  }
}

template <class T>
void Rank<T>::LeaveLayer(const Layer& layer, Phase phase) {
  for (Parameter<T>* p : layer.uses) {
    if (phase != Phase::kBackwardWeight && p->value_share && --p->value_users == 0) p->value.reset();
    if (!p->gradient_share || (phase != Phase::kBackward && phase != Phase::kBackwardWeight)) continue;
    ISO_CHECK_NOTE(p->reduced, p->key);
    T* share = p->gradient_share->template As<T>();
    kernels::Add<T>(p->owned, share, p->gradient->template As<T>() + p->first_owned, share);
    p->reduced = false;
    if (--p->gradient_users == 0) {
      p->gradient.reset();
    } else {  // passes of other microbatches have begun: what they add next must not count twice
      std::memset(p->gradient->template As<T>(), 0, p->gradient->Size());
    }
  }
}

/// This pass's gradients of a layer: over the ranks that share them, then over those that hold the same share. The sum
/// is left where this rank's share of the whole lies.
template <class T>
void Rank<T>::ReduceLayer(const Layer& layer, const plan::Op& op) {
  const bool across = op.name == "gradient_shards", expert = op.name == "expert_gradients";
  std::vector<Slice<T>> slices;
  for (Parameter<T>* p : layer.uses) {
    if (!p->gradient_share || p->expert != expert) continue;
    T *whole = p->gradient->template As<T>(), *mine = whole + p->first_owned;
    slices.push_back(across ? Slice<T>{mine, mine, p->owned} : Slice<T>{whole, mine, p->padded});
    p->reduced = true;
  }
  if (slices.empty()) return;
  const Team& team = TeamOf(std::get<plan::Collective>(op.kind).group);
  Account(plan::Stream::kData,
          across ? communicator_.AllReduce(team, slices) : communicator_.ReduceScatter(team, slices));
}

/// An op of a layer that moves its state, not its activations.
template <class T>
void Rank<T>::MoveState(const Layer& layer, const plan::Op& op) {
  worked_ = 0;
  if (op.name == "parameters" || op.name == "expert_parameters") return FetchAhead(op.name == "expert_parameters");
  ReduceLayer(layer, op);
}

template void Rank<float>::ListVisits();
template void Rank<double>::ListVisits();
template void Rank<float>::EnterLayer(const Layer&, Phase);
template void Rank<double>::EnterLayer(const Layer&, Phase);
template void Rank<float>::LeaveLayer(const Layer&, Phase);
template void Rank<double>::LeaveLayer(const Layer&, Phase);
template void Rank<float>::FetchAhead(bool);
template void Rank<double>::FetchAhead(bool);
template void Rank<float>::MoveState(const Layer&, const plan::Op&);
template void Rank<double>::MoveState(const Layer&, const plan::Op&);

}  // namespace isochrone::executor
