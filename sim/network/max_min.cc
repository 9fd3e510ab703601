#include "sim/network/max_min.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace isochrone::sim::network {

MaxMinSolver::MaxMinSolver(std::vector<double> capacity)
    : capacity_(std::move(capacity)),
      remaining_(capacity_.size()),
      active_(capacity_.size(), 0),
      begin_(capacity_.size()),
      fill_(capacity_.size()) {}

void MaxMinSolver::CollectUses(std::span<const int> first, std::span<const int> links) {
  used_links_.clear();
  for (const int link : links.first(first.back()))
    if (active_[link]++ == 0) used_links_.push_back(link);
  int at = 0;
  for (const int link : used_links_) {
    begin_[link] = fill_[link] = at;
    at += active_[link];
    remaining_[link] = capacity_[link];
  }
  users_.resize(at);
  for (int flow = 0; flow + 1 < static_cast<int>(first.size()); ++flow)
    for (int i = first[flow]; i < first[flow + 1]; ++i) users_[fill_[links[i]]++] = flow;
}

void MaxMinSolver::Solve(std::span<const int> first, std::span<const int> links, std::span<double> rates) {
  constexpr double kFree = std::numeric_limits<double>::infinity();
  CollectUses(first, links);
  std::fill(rates.begin(), rates.end(), kFree);

  heap_.clear();
  for (const int link : used_links_) heap_.push_back({capacity_[link] / active_[link], link});
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto [share, link] = heap_.back();
    heap_.pop_back();
    if (active_[link] == 0) continue;
    const double now = std::max(share, remaining_[link] / active_[link]);
    if (now > share) {
      heap_.push_back({now, link});
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
      continue;
    }
    for (int i = begin_[link]; i < fill_[link]; ++i) {
      const int flow = users_[i];
      if (rates[flow] != kFree) continue;
      rates[flow] = share;
      for (int hop = first[flow]; hop < first[flow + 1]; ++hop) {
        remaining_[links[hop]] -= share;
        --active_[links[hop]];
      }
    }
  }
}

}  // namespace isochrone::sim::network
