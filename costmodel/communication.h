#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "base/units.h"
#include "costmodel/collective.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// Prices what the ranks of one layout on one cluster say to each other: collective.h with the shape of every group and
/// the path of pipeline messages worked out once; a shape when a group is first priced, since an uneven layout takes
/// time in proportion to its ranks. Its constant members are safe to share among threads; pricing again allocates
/// nothing.
class Communication {
 public:
  /// With the catalogue's link profile for the cluster's node.
  Communication(const plan::Cluster& cluster, const plan::Layout& layout);
  Communication(const plan::Cluster& cluster, const plan::Layout& layout,
                std::shared_ptr<const CollectiveProfile> profile);

  /// From here on prices are those of another layout of the same cluster; not while other threads ask.
  void MoveTo(const plan::Layout& layout);

  Seconds TimeOf(const plan::Collective& op) const;
  /// A message to the next stage, `bytes` from each rank.
  Seconds TimeOf(const plan::Message& op) const;
  /// A pipeline message of `bytes` that every tensor-parallel rank holds whole, cut among them where `scatter_gather`;
  /// to another node or within one.
  Seconds MessageTime(Bytes bytes, bool scatter_gather, bool crosses_nodes) const;
  /// Whether any hop of the pipeline leads to another node.
  bool MessagesCrossNodes() const { return path_.crosses_nodes; }

  std::vector<Term> Explain(const plan::Collective& op) const;
  std::vector<Term> Explain(const plan::Message& op) const;

  const CollectiveProfile& profile() const { return *profile_; }

 private:
  plan::Cluster cluster_;
  std::shared_ptr<const CollectiveProfile> profile_;
  struct Shapes {
    std::array<std::once_flag, plan::kGroups> known;
    std::array<plan::GroupShape, plan::kGroups> shape;
  };
  const plan::GroupShape& ShapeOf(plan::Group group) const;

  plan::Layout layout_;
  std::shared_ptr<Shapes> shapes_ = std::make_shared<Shapes>();
  MessagePath path_;  // of a pipeline message
  int tensor_ = 1;
};

/// The profile of `node` from profiles/links of the catalogue, read once a process for each kind of node; safe to call
/// from several threads.
std::shared_ptr<const CollectiveProfile> CollectiveProfileOf(const plan::Node& node);

}  // namespace isochrone::costmodel
