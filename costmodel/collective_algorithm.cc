#include "costmodel/collective_algorithm.h"

#include "costmodel/collective_forms.h"

namespace isochrone::costmodel {

using plan::collectives::Algorithm;

Algorithm AlgorithmOf(const CollectiveProfile& profile, const plan::Cluster& cluster, const plan::GroupShape& group,
                      plan::CollectiveKind kind, Bytes size) {
  if (group.nodes < 2 || kind != plan::CollectiveKind::kAllReduce) return Algorithm::kRing;
  return ChosenCrossing(profile, cluster, group, kind, size.value).form->tree ? Algorithm::kTree : Algorithm::kRing;
}

}  // namespace isochrone::costmodel
