#include "sim/network/simgrid_zone.h"

#include <string>

#include <simgrid/kernel/resource/NetworkModelIntf.hpp>
#include <simgrid/s4u.hpp>

namespace isochrone::sim::network {

namespace {

namespace s4u = simgrid::s4u;

// Computes never share: one core for each stream that a host could have.
constexpr int kCoresPerHost = 1024;

// Wider than any cable, so that the link that carries a route's latency never limits.
constexpr double kNoLimit = 1e18;

}  // namespace

SimGridZone::SimGridZone(const Topology& topology, LatencyOf latency)
    : topology_(topology),
      hosts_(topology.Hosts(), nullptr),
      links_(topology.Links().size(), nullptr),
      last_(topology.Hosts(), nullptr) {
  s4u::Engine::set_config("network/model:CM02");
  s4u::Engine::set_config("network/crosstraffic:0");
  s4u::Engine::set_config("network/TCP-gamma:0");
  zone_ = s4u::create_full_zone("cluster");
  zone_->get_network_model()->set_lat_factor_cb(
      [latency](double, const s4u::Host* src, const s4u::Host* dst, const std::vector<s4u::Link*>&,
                const std::unordered_set<s4u::NetZone*>&) { return latency(src, dst); });
}

s4u::Host* SimGridZone::HostAt(int host) {
  if (hosts_[host] == nullptr) {
    hosts_[host] = zone_->create_host(std::to_string(host), 1.0);
    hosts_[host]->set_core_count(kCoresPerHost)->seal();
  }
  return hosts_[host];
}

void SimGridZone::AddRoute(int src, int dst, std::span<const int> links) {
  std::vector<s4u::LinkInRoute> path;
  for (const int l : links) {
    if (links_[l] == nullptr)
      links_[l] = zone_->create_link("link" + std::to_string(l), topology_.Links()[l].bandwidth.value)->seal();
    path.emplace_back(links_[l]);
  }
  if (last_[dst] == nullptr)
    last_[dst] = zone_->create_link("latency" + std::to_string(dst), kNoLimit)
                     ->set_sharing_policy(s4u::Link::SharingPolicy::FATPIPE)
                     ->set_latency(1.0)
                     ->seal();
  path.emplace_back(last_[dst]);
  zone_->add_route(HostAt(src)->get_netpoint(), HostAt(dst)->get_netpoint(), nullptr, nullptr, path, false);
}

void SimGridZone::Seal() { zone_->seal(); }

}  // namespace isochrone::sim::network
