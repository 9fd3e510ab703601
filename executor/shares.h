#pragma once

#include <algorithm>
#include <vector>

#include "executor/parameters.h"
#include "plan/layer_traffic.h"
#include "plan/plan.h"

namespace isochrone::executor {

// What a rank keeps of a parameter, and what of it counts, whatever holds it: a CPU or a GPU.

template <class T>
Parameter<T>& ShapeOf(Parameter<T>& parameter) {
  return parameter;
}

/// Where `rank` stands among those that cut parameters.
CutAt CutOf(const plan::Scenario& scenario, const plan::Layout& layout, int rank);

/// Cuts a parameter into equal shares, of which the member `index` of `owners` ranks owns one.
template <class T>
void Own(Index owners, Index index, Parameter<T>& p) {
  p.padded = (p.Count() + owners - 1) / owners * owners;
  p.owned = p.padded / owners;
  p.first_owned = index * p.owned;
}

/// True where a value is whole only while a layer works: ZeRO-3.
template <class T>
bool SharesValue(const plan::Strategy& strategy, const Parameter<T>& p) {
  return strategy.optimizer_sharding == plan::Sharding::kZero3 && p.owned < p.padded;
}
/// True where a gradient is whole only while a layer works: where every microbatch reduces it.
template <class T>
bool SharesGradient(const plan::Strategy& strategy, const plan::Layout& l, const Parameter<T>& p) {
  return plan::ReducesEveryMicrobatch(strategy) && (p.expert ? l.Edp() : l.dp * l.cp) > 1;
}

/// How often the norm over all ranks meets an element that this rank owns.
template <class T>
double CopiesOf(const plan::Plan& plan, const Parameter<T>& p) {
  const plan::Layout& l = plan.layout;
  const double ranks = p.expert ? l.Edp() : l.dp * l.cp * (p.sharded ? 1 : l.tp);
  return ranks * plan.schedule.placement.directions * static_cast<double>(p.owned) / static_cast<double>(p.padded);
}

/// Part `part` of `parts` of a list, by parameters, in the order in which a backward pass ends with them.
template <class P>
std::vector<P*> Bucket(std::vector<P*> all, int part, int parts) {
  std::reverse(all.begin(), all.end());
  double total = 0, before = 0;
  for (P* p : all) total += static_cast<double>(ShapeOf(*p).Count());
  std::vector<P*> mine;
  for (P* p : all) {
    if (std::min(parts - 1, static_cast<int>(before / total * parts)) == part) mine.push_back(p);
    before += static_cast<double>(ShapeOf(*p).Count());
  }
  return mine;
}

}  // namespace isochrone::executor
