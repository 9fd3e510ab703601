#include "study/network.h"

#include <algorithm>
#include <cmath>

#include "costmodel/collective.h"
#include "costmodel/communication.h"
#include "sim/network/bisection.h"
#include "sim/network/cluster.h"
#include "sim/network/topology.h"
#include "study/step_collectives.h"

namespace isochrone::study {

namespace net = sim::network;

namespace {

constexpr double kRounding = 1e-9;  // of the step: what the order of additions may change

const costmodel::NicShare& NicOf(const costmodel::CollectiveProfile& profile, BytesPerSecond rate) {
  const auto farther = [rate](const costmodel::NicShare& a, const costmodel::NicShare& b) {
    return std::abs(std::log(a.rate / rate)) < std::abs(std::log(b.rate / rate));
  };
  return *std::min_element(profile.nics.begin(), profile.nics.end(), farther);
}

/// Of the link's bandwidth, what the widest form of a message reaches.
double NvLinkShare(const costmodel::CollectiveProfile& profile, const plan::Node& node) {
  double widest = 0;
  for (const costmodel::CollectiveForm& form : profile.message)
    widest = std::max(widest, form.bandwidth * profile.link_ratio / node.link_bandwidth);
  return widest > 0 ? std::min(1.0, widest) : 1.0;
}

std::string NameOf(net::FabricKind kind) {
  static const char* const names[] = {"single_switch", "fat_tree", "fat_tree_3", "rails", "dragonfly", "torus"};
  return names[static_cast<int>(kind)];
}

std::vector<LinkLine> LinesOf(const net::NetworkStep& step, const net::Topology& topology) {
  std::vector<LinkLine> lines;
  for (const net::LinkLoad& load : step.links) {
    LinkLine line{.name = topology.LinkName(load.link), .load = load, .utilisation = 0, .traffic = {}};
    const BytesPerSecond bandwidth = topology.Links()[static_cast<std::size_t>(load.link)].bandwidth;
    line.utilisation = load.bytes / bandwidth / Seconds(step.step.makespan);
    for (const net::LabelLoad& label : load.labels)
      line.traffic.push_back({static_cast<plan::Stream>(label.label), label.messages, label.bytes});
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

NetworkAnswer PlayOnNetwork(const plan::Scenario& scenario, const plan::Plan& plan, const Pricing& pricing,
                            const costmodel::Costs& costs, net::EngineChoice engine, bool timeline) {
  const plan::Node& node = scenario.cluster.node;
  const auto profile = costmodel::CollectiveProfileOf(node);
  net::LinkShares shares;
  plan::Plan played = plan;
  shares.nvlink = NvLinkShare(*profile, node);
  if (node.nics > 0) {
    const costmodel::NicShare& nic = NicOf(*profile, node.nic_bandwidth);
    shares.nic = nic.collective;
    if (plan::PipelineCrossesNodes(plan.layout)) played.message_bytes *= nic.collective / nic.message;
  }
  const net::Topology topology(net::ShapeOf(scenario.cluster, shares));
  net::NetworkOptions options;
  options.engine = engine;
  options.with_timeline = timeline;
  NetworkAnswer answer;
  answer.step = net::SimulateOnNetwork(played, pricing.step, topology, {}, options,
                                       StepCollectivesOf(scenario.cluster, played, pricing, costs));
  answer.fabric = NameOf(topology.Shape().fabric.kind);
  answer.engine = engine == net::EngineChoice::kSimGrid ? "SimGrid" : "max-min";
  const Seconds makespan(answer.step.step.makespan);
  const Seconds later = makespan - answer.step.uncontended;
  answer.contention = std::abs(later / makespan) < kRounding ? Seconds(0) : later;
  if (topology.Hosts() > 1) answer.bisection = net::Bisection(topology);
  answer.links = LinesOf(answer.step, topology);
  return answer;
}

}  // namespace isochrone::study
