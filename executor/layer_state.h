#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "executor/shares.h"
#include "plan/plan.h"

namespace isochrone::executor {

/// Parameters and gradients that are whole only while a layer works (ZeRO-2 and 3): which, and when, whatever moves
/// them. Parameters are fetched while the layer before works, as plan/layer_traffic.h counts them; gradients are
/// reduced when their layer's pass ends.
///
/// P      a parameter: ShapeOf(p) says what this rank owns of it; `value_share` and `gradient_share` hold that, or
///        nothing where the whole is kept
/// Layer  of executor/walk.h
/// Self   has  void TakeValue(P&)                                  memory for the whole, not initialised
///             void GatherValues(const std::vector<P*>&, Group)    fills it from the shares
///             void ReleaseValue(P&)
///             void TakeGradient(P&)                               memory for the whole, zeros
///             void ReduceGradients(const std::vector<P*>&, Group, bool of_shares)
///                                                                 leaves the sum where this rank's share lies
///             void KeepGradient(P&)                               adds that to the share
///             void ReleaseGradient(P&), ClearGradient(P&)         clears what passes of other microbatches add to
template <class Self, class P, class Layer>
class LayerState {
 public:
  explicit LayerState(Self& self) : self_(self) {}

  /// Layers in the order in which a step's passes need their parameters. The weight half of a backward pass needs none.
  template <class Slots>
  void ListVisits(const Slots& slots, const std::vector<plan::Task>& order) {
    using plan::Phase;
    const auto visit = [&](int chunk, bool backward) {
      const std::vector<Layer>& layers = slots[static_cast<std::size_t>(chunk)].layers;
      for (std::size_t i = 0; i < layers.size(); ++i) visits_.push_back(&layers[backward ? layers.size() - 1 - i : i]);
    };
    for (const plan::Task& task : order) {
      if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped) visit(task.chunk, false);
      if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) visit(task.chunk, true);
      if (task.phase == Phase::kOverlapped) visit(task.chunk_b, true);
    }
  }

  void StartStep() { next_ = 0; }

  /// Fetches what the next visit needs of one kind.
  void FetchAhead(bool expert) {
    if (next_ >= visits_.size()) return;
    std::vector<P*> missing;
    for (P* p : Missing(*visits_[next_])) {
      if (ShapeOf(*p).expert == expert) missing.push_back(p);
    }
    Fetch(missing);
    ahead_.insert(ahead_.end(), missing.begin(), missing.end());
  }

  void Enter(const Layer& layer, plan::Phase phase) {
    if (phase != plan::Phase::kBackwardWeight) {
      ISO_CHECK(next_ < visits_.size() && visits_[next_] == &layer);
      Fetch(Missing(layer));
      ahead_.clear();
      ++next_;
    }
    if (phase != plan::Phase::kBackward && phase != plan::Phase::kBackwardInput) return;
    for (P* p : layer.uses) {
      if (p->gradient_share && ShapeOf(*p).gradient_users++ == 0) self_.TakeGradient(*p);
    }
  }

  void Leave(const Layer& layer, plan::Phase phase) {
    const bool adds = phase == plan::Phase::kBackward || phase == plan::Phase::kBackwardWeight;
    if (adds) ReduceRest(layer);
    for (P* p : layer.uses) {
      auto& shape = ShapeOf(*p);
      if (phase != plan::Phase::kBackwardWeight && p->value_share && --shape.value_users == 0) self_.ReleaseValue(*p);
      if (!p->gradient_share || !adds) continue;
      self_.KeepGradient(*p);
      shape.reduced = false;
      if (--shape.gradient_users == 0) self_.ReleaseGradient(*p);
      else self_.ClearGradient(*p);  // what other passes add next must not count twice
    }
  }

  /// An op of a layer that moves its state, not its activations. This pass's gradients go over the ranks that share
  /// them, then over those that hold the same share.
  void Move(const Layer& layer, const plan::Op& op) {
    if (op.name == "parameters" || op.name == "expert_parameters") return FetchAhead(op.name == "expert_parameters");
    const plan::Group group = std::get<plan::Collective>(op.kind).group;
    if (op.name != "gradient_shards") return Reduce(layer, op.name == "expert_gradients", group);
    Reduce(layer, false, plan::Group::kShard);  // what a framework's reductions left out
    ReduceShares(layer, group);
  }

 private:
  /// What a layer uses that is kept in shares and was not fetched ahead.
  std::vector<P*> Missing(const Layer& layer) const {
    std::vector<P*> missing;
    for (P* p : layer.uses) {
      if (p->value_share && std::find(ahead_.begin(), ahead_.end(), p) == ahead_.end()) missing.push_back(p);
    }
    return missing;
  }

  void Fetch(const std::vector<P*>& parameters) {
    for (const bool expert : {false, true}) {
      std::vector<P*> some;
      for (P* p : parameters) {
        if (ShapeOf(*p).expert != expert) continue;
        if (ShapeOf(*p).value_users++ == 0) self_.TakeValue(*p);
        some.push_back(p);
      }
      if (!some.empty()) self_.GatherValues(some, expert ? plan::Group::kExpertData : plan::Group::kShard);
    }
  }

  void Reduce(const Layer& layer, bool expert, plan::Group group) {
    std::vector<P*> some;
    for (P* p : layer.uses) {
      if (!p->gradient_share || ShapeOf(*p).expert != expert || ShapeOf(*p).reduced) continue;
      some.push_back(p);
      ShapeOf(*p).reduced = true;
    }
    if (!some.empty()) self_.ReduceGradients(some, group, false);
  }

  void ReduceShares(const Layer& layer, plan::Group group) {
    std::vector<P*> some;
    for (P* p : layer.uses) {
      if (p->gradient_share && !ShapeOf(*p).expert) some.push_back(p);
    }
    if (!some.empty()) self_.ReduceGradients(some, group, true);
  }

  /// The gradients of a layer of which all are too small for a framework to reduce on their own.
  void ReduceRest(const Layer& layer) {
    const auto is_left = [](P* p) { return p->gradient_share && !ShapeOf(*p).reduced && !ShapeOf(*p).expert; };
    const bool dense = std::any_of(layer.uses.begin(), layer.uses.end(), is_left);
    Reduce(layer, true, plan::Group::kExpertData);
    if (!dense) return;
    Reduce(layer, false, plan::Group::kShard);
    ReduceShares(layer, plan::Group::kReplica);
  }

  Self& self_;
  std::vector<const Layer*> visits_;  // of a step
  std::size_t next_ = 0;
  std::vector<P*> ahead_;  // fetched for the next visit
};

}  // namespace isochrone::executor
