#include "executor/shares.h"

#include "executor/routing.h"

namespace isochrone::executor {

CutAt CutOf(const plan::Scenario& s, const plan::Layout& l, int rank) {
  const auto index = [&](plan::Group group) {
    const std::vector<int> ranks = plan::RanksOf(l, group, rank);
    return static_cast<int>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
  };
  CutAt at{.tensor_rank = plan::CoordinatesOf(l, rank).tp, .tensor_size = l.tp, .experts = {}};
  if (!s.model.moe) return at;
  at.expert_tensor_rank = index(plan::Group::kExpertTensor);
  at.expert_tensor_size = l.etp;
  at.expert_count = s.model.moe->experts;
  for (int i = 0; i < at.expert_count / l.ep; ++i) at.experts.push_back(ExpertAt(s, index(plan::Group::kExpert), i));
  return at;
}

}  // namespace isochrone::executor
