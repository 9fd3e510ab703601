#pragma once

#include <span>
#include <vector>

namespace isochrone::sim::network {

/// Max-min fair rates by progressive filling: all rates grow together until a link is full, its flows freeze, the
/// others go on.
///
///   repeat: l* = argmin_l remaining_l / active_l;  rate_f = remaining_l* / active_l* for each active flow f over l*
///
/// A flow over no link gets rate infinity. O(hops log links); the share of a link never falls as filling proceeds, so
/// a heap entry that is out of date is simply put back with its new share.
/// Source  Bertsekas & Gallager, Data Networks, 2nd ed., 1992, section 6.5.2.
class MaxMinSolver {
 public:
  /// capacity  bytes per second of each link
  explicit MaxMinSolver(std::vector<double> capacity);

  /// Flow f uses links[first[f] .. first[f + 1]), each at most once. Writes one rate per flow, bytes per second.
  void Solve(std::span<const int> first, std::span<const int> links, std::span<double> rates);

 private:
  struct Share {
    double rate;
    int link;
    bool operator>(const Share& o) const { return rate != o.rate ? rate > o.rate : link > o.link; }
  };

  void CollectUses(std::span<const int> first, std::span<const int> links);

  std::vector<double> capacity_, remaining_;
  std::vector<int> active_, begin_, fill_;  // per link; all zero between calls (active_)
  std::vector<int> used_links_, users_;     // users_: flows by link
  std::vector<Share> heap_;
};

}  // namespace isochrone::sim::network
