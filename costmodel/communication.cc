#include "costmodel/communication.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "costmodel/explain.h"
#include "plan/catalogue.h"

namespace isochrone::costmodel {

namespace {

/// Ranks of a stage that lie in one node all send to the next stage at once.
MessagePath PipelinePath(const plan::Layout& layout) {
  return {plan::PipelineCrossesNodes(layout), std::min(layout.gpus_per_node, layout.tp * layout.cp * layout.dp)};
}

}  // namespace

std::shared_ptr<const CollectiveProfile> CollectiveProfileOf(const plan::Node& node) {
  using Key = std::tuple<std::string, plan::NodeLink, std::string, double, int>;
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const CollectiveProfile>> known;
  const std::string folder = plan::CatalogueFolder() + "/profiles/links";
  const Key key{folder, node.link, node.gpu.architecture, node.link_bandwidth.value, node.gpus};
  const std::lock_guard lock(mutex);
  auto& profile = known[key];
  if (!profile) profile = std::make_shared<const CollectiveProfile>(ReadCollectiveProfile(node, folder));
  return profile;
}

Communication::Communication(const plan::Cluster& cluster, const plan::Layout& layout)
    : Communication(cluster, layout, CollectiveProfileOf(cluster.node)) {}

Communication::Communication(const plan::Cluster& cluster, const plan::Layout& layout,
                             std::shared_ptr<const CollectiveProfile> profile)
    : cluster_(cluster),
      profile_(std::move(profile)),
      layout_(layout),
      path_(PipelinePath(layout)),
      tensor_(layout.tp) {}

void Communication::MoveTo(const plan::Layout& layout) {
  if (layout == layout_) return;
  layout_ = layout;
  shapes_ = std::make_shared<Shapes>();
  path_ = PipelinePath(layout);
  tensor_ = layout.tp;
}

const plan::GroupShape& Communication::ShapeOf(plan::Group group) const {
  const auto i = static_cast<std::size_t>(group);
  std::call_once(shapes_->known[i], [&] { shapes_->shape[i] = plan::ShapeOf(layout_, group); });
  return shapes_->shape[i];
}

Seconds Communication::TimeOf(const plan::Collective& op) const {
  return CollectiveTime(*profile_, cluster_, ShapeOf(op.group), op.kind, op.bytes, op.imbalance);
}

Seconds Communication::TimeOf(const plan::Message& op) const {
  return PointToPointTime(*profile_, cluster_, path_, op.bytes);
}

Seconds Communication::MessageTime(Bytes bytes, bool scatter_gather, bool crosses_nodes) const {
  return PipelineMessageTime(*profile_, cluster_, {crosses_nodes, path_.senders}, bytes, tensor_, scatter_gather);
}

std::vector<Term> Communication::Explain(const plan::Collective& op) const {
  return ExplainCollective(*profile_, cluster_, ShapeOf(op.group), op.kind, op.bytes, op.imbalance);
}

std::vector<Term> Communication::Explain(const plan::Message& op) const {
  return ExplainMessage(*profile_, cluster_, path_, op.bytes);
}

}  // namespace isochrone::costmodel
