#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sim/network/engines.h"

namespace isochrone::sim::network {

/// The routes that the messages of one graph take, each found once.
class RouteTable {
 public:
  RouteTable(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by);

  int Size() const { return static_cast<int>(latency_.size()); }
  /// Route of message `activity`; -1 for a compute.
  int Of(int activity) const { return of_[activity]; }
  /// The links that may limit the route, in order, at least one.
  std::span<const int> Links(int route) const {
    return {links_.data() + first_[route], links_.data() + first_[route + 1]};
  }
  double Latency(int route) const { return latency_[route]; }      // seconds
  double Bandwidth(int route) const { return bandwidth_[route]; }  // bytes per second
  int Src(int route) const { return src_[route]; }
  int Dst(int route) const { return dst_[route]; }

 private:
  void DropImplied(const Topology& topology);
  void KeepOnly(const std::vector<bool>& kept);

  std::vector<int> of_, src_, dst_, first_{0}, links_;
  std::vector<double> latency_, bandwidth_;
};

}  // namespace isochrone::sim::network
