#include "costmodel/collective.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "costmodel/collective_forms.h"

namespace isochrone::costmodel {

namespace {

using plan::CollectiveKind;

/// What the library takes for the bytes that a tree sends out of a node, over size. Its tuner says 2; 1.85 puts the
/// measured change from tree to ring on 4 nodes of 8 GPUs between 32 and 64 MiB, as the tuner also leaves out what
/// fills a ring's pipeline. Fitted to the all-reduce table of ml-engineering network/benchmarks.
constexpr double kTreeBelief = 1.85;

double Filled(double x, double fill) { return x + 2 * std::sqrt(fill * x); }

/// Kinds without forms of their own borrow those that move data alike.
CollectiveKind FormsOf(CollectiveKind kind) {
  return kind == CollectiveKind::kBroadcast ? CollectiveKind::kAllGather : kind;
}

/// Of all servers of one NVLink domain.
double DomainNics(const plan::Node& node) {
  return node.nics * std::max(1.0, static_cast<double>(node.domain_gpus) / node.gpus);
}

BytesPerSecond NicRateOfGpu(const plan::Node& node) { return node.InterNode() / node.gpus; }

double NicsPerGpu(const plan::Node& node) { return std::max(1.0, static_cast<double>(node.nics) / node.gpus); }

/// Shares between the listed rates by straight line; the ends hold outside.
double ShareAt(const std::vector<NicShare>& nics, BytesPerSecond rate, double NicShare::*share) {
  if (rate <= nics.front().rate) return nics.front().*share;
  for (std::size_t i = 1; i < nics.size(); ++i) {
    if (rate > nics[i].rate) continue;
    const double t = (rate - nics[i - 1].rate) / (nics[i].rate - nics[i - 1].rate);
    return nics[i - 1].*share + t * (nics[i].*share - nics[i - 1].*share);
  }
  return nics.back().*share;
}

BytesPerSecond MessageBandwidth(const CollectiveProfile& profile, const plan::Node& node, int senders) {
  const double nics = std::min(DomainNics(node) / std::max(1, senders), NicsPerGpu(node));
  return nics * node.nic_bandwidth * ShareAt(profile.nics, NicRateOfGpu(node), &NicShare::message);
}

/// Seconds a byte of one crossing: out of the node, over each in-node link, through a rank's own memory.
struct Tiers {
  double nic = 0, inside = 0, local = 0;
};

Tiers TiersOf(const CollectiveProfile& profile, const plan::Node& node, const plan::GroupShape& group,
              CollectiveKind kind) {
  Tiers tiers{1 / GroupNicBandwidth(profile, node, group).value, 0, 0};
  if (group.per_node < 2) return tiers;
  const CollectiveForm* widest = nullptr;
  for (const CollectiveForm& form : profile.forms[static_cast<int>(FormsOf(kind))]) {
    if (form.shape == FormShape::kRing && (!widest || form.bandwidth > widest->bandwidth)) widest = &form;
  }
  tiers.inside = 1 / (widest->bandwidth.value * LinkRatio(profile, group.per_node));
  tiers.local = 1 / widest->local_bandwidth.value;
  return tiers;
}

double CrossingTime(const Tiers& tiers, const CrossingForm& form, const CrossingWork& work, double wire) {
  const double inside = work.inside * tiers.inside + work.local * tiers.local;
  return form.latency.value + work.hops * form.hop.value + work.hops_between * form.hop_between.value +
         Filled(std::max(inside, wire * tiers.nic) / form.bandwidth_share, form.fill.value);
}

}  // namespace

double LinkRatio(const CollectiveProfile& profile, int n, int sharing) {
  const double share = profile.usable_share[std::min<std::size_t>(n - 2, profile.usable_share.size() - 1)];
  return profile.link_ratio * (sharing > 1 ? std::min(share, profile.usable_share.back() / sharing) : share);
}

FormWork WorkOf(FormShape shape, CollectiveKind kind, int n, double size, double imbalance) {
  const double others = static_cast<double>(n - 1) / n;
  switch (shape) {
    case FormShape::kSwitchReduce:
      return {1, (1 + 1.0 / n) * size, 0};
    case FormShape::kDirect:
      return {n - 1.0, others * size * imbalance, size / n};
    case FormShape::kRing:
      break;
  }
  if (kind == CollectiveKind::kAllReduce) return {2 * (n - 1.0), 2 * others * size, size};
  if (kind == CollectiveKind::kBroadcast) return {n - 1.0, size, 0};
  return {n - 1.0, others * size, size / n};
}

double FormTime(const CollectiveForm& form, const FormWork& work, double ratio) {
  return form.latency.value + work.hops * form.hop.value + work.local / form.local_bandwidth.value +
         Filled(work.wire / (form.bandwidth.value * ratio), form.fill.value);
}

CrossingWork WorkOf(bool tree, CollectiveKind kind, const plan::GroupShape& group, double size) {
  const int n = group.size, nodes = group.nodes, p = group.per_node;
  if (tree) {
    const double mean = 2 * (nodes - 1.0) / nodes * size;
    return {2 * (p - 1.0), 2.0 * std::bit_width(nodes - 1u), mean, kTreeBelief * size, 2 * size, size};
  }
  const double hops = std::max(0, n - nodes), between = nodes - 1, others = static_cast<double>(n - 1) / n;
  CrossingWork work{hops, between, others * size, others * size, others * size, size / n};
  if (kind == CollectiveKind::kBroadcast) work.wire = work.believed = work.inside = size, work.local = 0;
  if (kind == CollectiveKind::kAllReduce) {
    work = {2 * hops, 2 * between, 2 * others * size, 2 * others * size, 2 * others * size, size};
  }
  return work;
}

BytesPerSecond GroupNicBandwidth(const CollectiveProfile& profile, const plan::Node& node,
                                 const plan::GroupShape& group) {
  const double reach = std::min(DomainNics(node), group.per_node * NicsPerGpu(node));
  const double nics = std::min(reach, DomainNics(node) / std::max(1, group.sharing));
  return nics * node.nic_bandwidth * ShareAt(profile.nics, NicRateOfGpu(node), &NicShare::collective);
}

double CrossingAllToAll(const CollectiveProfile& profile, const plan::Cluster& cluster, const plan::GroupShape& group,
                        double size, double imbalance) {
  const int n = group.size, p = group.per_node;
  const double outside = size * imbalance * std::max(0, n - p) / n;
  const double nic = GroupNicBandwidth(profile, cluster.node, group).value / p / cluster.oversubscription;
  const double crossing = profile.crossing_message.value + (n - p) * profile.crossing_peer.value + outside / nic;
  const double inside = p < 2 ? 0 : ChosenForm(profile, CollectiveKind::kAllToAll, p, size * p / n, imbalance).seconds;
  return std::max(crossing, inside);
}

Choice ChosenForm(const CollectiveProfile& profile, CollectiveKind kind, int n, double size, double imbalance,
                  int sharing) {
  Choice best{std::numeric_limits<double>::infinity(), nullptr};
  const double ratio = LinkRatio(profile, n, sharing);
  for (const CollectiveForm& form : profile.forms[static_cast<int>(FormsOf(kind))]) {
    if (n < form.least_group) continue;
    const double t = FormTime(form, WorkOf(form.shape, kind, n, size, imbalance), ratio);
    if (t < best.seconds) best = {t, &form};
  }
  return best;
}

CrossingChoice ChosenCrossing(const CollectiveProfile& profile, const plan::Cluster& cluster,
                              const plan::GroupShape& group, CollectiveKind kind, double size) {
  const Tiers tiers = TiersOf(profile, cluster.node, group, kind);
  double least = std::numeric_limits<double>::infinity();
  CrossingChoice chosen;
  for (const CrossingForm& form : profile.crossing) {
    if (form.tree && kind != CollectiveKind::kAllReduce) continue;
    const CrossingWork work = WorkOf(form.tree, kind, group, size);
    const double believed = CrossingTime(tiers, form, work, work.believed);
    if (believed >= least) continue;
    least = believed;
    chosen = {form.tree ? CrossingTime(tiers, form, work, work.wire) : believed, &form};
  }
  return chosen;
}

Seconds CollectiveTime(const CollectiveProfile& profile, const plan::Cluster& cluster, plan::GroupShape group,
                       CollectiveKind kind, Bytes size, double imbalance) {
  if (group.size < 2) return {};
  const bool crosses = group.nodes > 1;
  if (kind == CollectiveKind::kRing) return PointToPointTime(profile, cluster, {crosses, group.sharing}, size);
  if (!crosses) return Seconds(ChosenForm(profile, kind, group.size, size.value, imbalance, group.sharing).seconds);
  if (kind == CollectiveKind::kAllToAll) {
    return Seconds(CrossingAllToAll(profile, cluster, group, size.value, imbalance));
  }
  return Seconds(ChosenCrossing(profile, cluster, group, kind, size.value).seconds);
}

Seconds PointToPointTime(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path, Bytes size) {
  if (path.crosses_nodes) {
    return profile.crossing_message +
           size * cluster.oversubscription / MessageBandwidth(profile, cluster.node, path.senders);
  }
  double best = std::numeric_limits<double>::infinity();
  for (const CollectiveForm& form : profile.message) {
    best = std::min(best, FormTime(form, {0, size.value, 0}, LinkRatio(profile, 2)));
  }
  return Seconds(best);
}

Seconds PipelineMessageTime(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path,
                            Bytes size, int tensor, bool scatter) {
  if (!scatter || tensor == 1) return PointToPointTime(profile, cluster, path, size);
  const int per_node = std::min(tensor, cluster.node.domain_gpus);
  const plan::GroupShape group{tensor, per_node, (tensor + per_node - 1) / per_node, 1};
  return PointToPointTime(profile, cluster, path, size / tensor) +
         CollectiveTime(profile, cluster, group, CollectiveKind::kAllGather, size);
}

}  // namespace isochrone::costmodel
