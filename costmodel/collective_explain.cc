#include <cstdio>

#include "costmodel/collective.h"
#include "costmodel/collective_forms.h"
#include "costmodel/explain.h"

namespace isochrone::costmodel {

namespace {

using plan::CollectiveKind;

std::string Text(const char* format, double a, double b = 0, double c = 0) {
  char text[160];
  std::snprintf(text, sizeof text, format, a, b, c);
  return text;
}

std::string Describe(const plan::GroupShape& group, Bytes size) {
  return Text("n = %g", group.size) + (group.nodes > 1 ? Text(" on %g nodes", group.nodes) : "") +
         (group.nodes > 1 || group.sharing > 1 ? Text(", %g groups sharing", group.sharing) : "") +
         Text(", size = %.6g B", size.value);
}

std::vector<Term> ExplainInside(const CollectiveProfile& profile, const plan::GroupShape& group, CollectiveKind kind,
                                Bytes size, double imbalance) {
  const Source source = LinkSource(profile, kind);
  const Choice chosen = ChosenForm(profile, kind, group.size, size.value, imbalance, group.sharing);
  const CollectiveForm& form = *chosen.form;
  const FormWork work = WorkOf(form.shape, kind, group.size, size.value, imbalance);
  const double latency = form.latency.value + work.hops * form.hop.value;
  const double local = work.local / form.local_bandwidth.value;
  return {{form.name + " latency", "latency + hops hop",
           Describe(group, size) + Text(", latency = %.3g us, hops = %g, hop = %.3g us", form.latency.value * 1e6,
                                        work.hops, form.hop.value * 1e6),
           Seconds(latency), source},
          {form.name + " own part", "local / local_bandwidth",
           Text("local = %.6g B, local_bandwidth = %.4g GB/s", work.local, form.local_bandwidth.value / kGiga),
           Seconds(local), source},
          {form.name + " on the links", "x + 2 sqrt(fill x), x = wire / bandwidth",
           Text("wire = %.6g B, bandwidth = %.4g GB/s, fill = %.3g us", work.wire,
                form.bandwidth.value * LinkRatio(profile, group.size, group.sharing) / kGiga, form.fill.value * 1e6),
           Seconds(chosen.seconds - latency - local), source}};
}

std::vector<Term> ExplainCrossing(const CollectiveProfile& profile, const plan::Cluster& cluster,
                                  const plan::GroupShape& group, CollectiveKind kind, Bytes size) {
  const Source& source = profile.crossing_source;
  const CrossingChoice chosen = ChosenCrossing(profile, cluster, group, kind, size.value);
  const CrossingForm& form = *chosen.form;
  const CrossingWork work = WorkOf(form.tree, kind, group, size.value);
  const double latency = form.latency.value + work.hops * form.hop.value + work.hops_between * form.hop_between.value;
  return {{form.name + " latency", "latency + hops hop + hops_between hop_between",
           Describe(group, size) + Text(", latency = %.3g us, hops = %g, hops_between = %g", form.latency.value * 1e6,
                                        work.hops, work.hops_between),
           Seconds(latency), source},
          {form.name + " between nodes", "x + 2 sqrt(fill x), x = max(inside, wire / nic_group) / share",
           Text("wire = %.6g B, nic_group = %.4g GB/s, share = %.3g", work.wire,
                GroupNicBandwidth(profile, cluster.node, group).value / kGiga, form.bandwidth_share),
           Seconds(chosen.seconds - latency), source}};
}

}  // namespace

std::vector<Term> ExplainCollective(const CollectiveProfile& profile, const plan::Cluster& cluster,
                                    plan::GroupShape group, CollectiveKind kind, Bytes size, double imbalance) {
  if (group.size < 2) return {};
  const bool crosses = group.nodes > 1;
  if (!crosses && kind != CollectiveKind::kRing) return ExplainInside(profile, group, kind, size, imbalance);
  if (crosses && kind != CollectiveKind::kRing && kind != CollectiveKind::kAllToAll) {
    return ExplainCrossing(profile, cluster, group, kind, size);
  }
  const bool ring = kind == CollectiveKind::kRing;
  return {{ring ? "message to the next rank" : "all-to-all by the NICs",
           ring ? "latency + size / bandwidth" : "latency + (n-p) peer + (n-p)/n size imbalance / (nic_group / p)",
           Describe(group, size) +
               (crosses ? Text(", nic_group = %.4g GB/s", GroupNicBandwidth(profile, cluster.node, group).value / kGiga)
                        : ""),
           CollectiveTime(profile, cluster, group, kind, size, imbalance),
           crosses ? profile.crossing_source : LinkSource(profile, kind)}};
}

std::vector<Term> ExplainMessage(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path,
                                 Bytes size) {
  const Seconds latency = PointToPointTime(profile, cluster, path, Bytes(0));
  const Seconds total = PointToPointTime(profile, cluster, path, size);
  const Source source = path.crosses_nodes ? profile.crossing_source : LinkSource(profile, CollectiveKind::kRing);
  const std::string place = path.crosses_nodes ? Text("between nodes, %g senders a node", path.senders) : "in a node";
  return {{"message latency", "of an empty message", place, latency, source},
          {"message on the link", "time - latency", Text("size = %.6g B", size.value), total - latency, source}};
}

}  // namespace isochrone::costmodel
