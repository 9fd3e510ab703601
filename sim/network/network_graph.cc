#include "sim/network/network_graph.h"

#include <numeric>

#include "base/error.h"

namespace isochrone::sim::network {

int NetworkGraph::AddCompute(int host, Seconds duration, int label) {
  ISO_CHECK(host >= 0 && duration.value >= 0);
  activities_.push_back({host, -1, label, duration.value, 0});
  return Size() - 1;
}

int NetworkGraph::AddMessage(int src, int dst, Bytes size, Seconds extra_latency, int label) {
  ISO_CHECK(src >= 0 && dst >= 0 && src != dst && size.value >= 0 && extra_latency.value >= 0);
  activities_.push_back({src, dst, label, size.value, extra_latency.value});
  return Size() - 1;
}

ReadyTracker::ReadyTracker(const NetworkGraph& graph)
    : first_(graph.Size() + 1, 0), after_(graph.Edges().size()), waits_for_(graph.Size(), 0) {
  for (const auto& [before, after] : graph.Edges()) {
    ISO_CHECK(before >= 0 && before < graph.Size() && after >= 0 && after < graph.Size());
    ++first_[before + 1];
    ++waits_for_[after];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  std::vector<int> next(first_.begin(), first_.end() - 1);
  for (const auto& [before, after] : graph.Edges()) after_[next[before]++] = after;
}

std::vector<int> ReadyTracker::Roots() const {
  std::vector<int> roots;
  for (int i = 0; i < static_cast<int>(waits_for_.size()); ++i)
    if (waits_for_[i] == 0) roots.push_back(i);
  return roots;
}

}  // namespace isochrone::sim::network
