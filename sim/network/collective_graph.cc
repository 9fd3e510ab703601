#include "sim/network/collective_graph.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace isochrone::sim::network {

namespace {

std::vector<int> AddEnds(NetworkGraph* graph, const Participants& who, int label) {
  std::vector<int> ends;
  for (std::size_t r = 0; r < who.hosts.size(); ++r) {
    ends.push_back(graph->AddCompute(who.hosts[r], Seconds(0), label));
    if (who.begin[r] >= 0) graph->AddDependency(who.begin[r], ends.back());
  }
  return ends;
}

}  // namespace

std::vector<int> AddSteps(NetworkGraph* graph, const plan::collectives::StepList& list, const Participants& who,
                          Bytes size, int label) {
  ISO_CHECK(static_cast<int>(who.hosts.size()) == list.Ranks() && who.begin.size() == who.hosts.size());
  const int first = graph->Size();
  std::vector<bool> takes_part(list.Ranks(), false);
  for (int i = 0; i < list.Size(); ++i) {
    const plan::collectives::Message& m = list.At(i);
    const int activity = graph->AddMessage(who.hosts[m.src], who.hosts[m.dst], list.BytesOf(i, size), {}, label);
    for (const int earlier : list.After(i)) graph->AddDependency(first + earlier, activity);
    // Later messages of a step list may not come after a rank's first one, so each waits for both ends unless an
    // earlier message of the same pair did.
    for (const int rank : {m.src, m.dst})
      if (who.begin[rank] >= 0 && (!takes_part[rank] || list.After(i).empty()))
        graph->AddDependency(who.begin[rank], activity);
    takes_part[m.src] = takes_part[m.dst] = true;
  }

  // A rank is done when its last message to and from each peer is.
  const std::vector<int> ends = AddEnds(graph, who, label);
  std::set<std::pair<int, int>> seen;
  for (int i = list.Size() - 1; i >= 0; --i) {
    const plan::collectives::Message& m = list.At(i);
    if (!seen.insert({m.src, m.dst}).second) continue;
    graph->AddDependency(first + i, ends[m.src]);
    graph->AddDependency(first + i, ends[m.dst]);
  }
  return ends;
}

std::vector<int> AddFluidHops(NetworkGraph* graph, const Topology& topology, const Participants& who,
                              const std::vector<CrossingHop>& hops, int steps, int label) {
  std::vector<Seconds> latency;
  for (const CrossingHop& hop : hops)
    latency.push_back(topology.RouteBetween(who.hosts[hop.src], who.hosts[hop.dst]).latency);
  const Seconds slowest = *std::max_element(latency.begin(), latency.end());

  const int ready = graph->AddCompute(who.hosts[0], Seconds(0), label),
            done = graph->AddCompute(who.hosts[0], Seconds(0), label);
  for (const int begin : who.begin)
    if (begin >= 0) graph->AddDependency(begin, ready);
  for (std::size_t h = 0; h < hops.size(); ++h) {
    const int flow = graph->AddMessage(who.hosts[hops[h].src], who.hosts[hops[h].dst], hops[h].bytes,
                                       steps * slowest - latency[h], label);
    graph->AddDependency(ready, flow);
    graph->AddDependency(flow, done);
  }
  return std::vector<int>(who.hosts.size(), done);
}

std::vector<int> AddFluidRing(NetworkGraph* graph, const Topology& topology, const Participants& who, Bytes size,
                              int steps, int label) {
  const int ranks = static_cast<int>(who.hosts.size());
  if (ranks == 1) return AddEnds(graph, who, label);
  std::vector<CrossingHop> hops;
  for (int r = 0; r < ranks; ++r) hops.push_back({r, (r + 1) % ranks, size * (static_cast<double>(steps) / ranks)});
  return AddFluidHops(graph, topology, who, hops, steps, label);
}

}  // namespace isochrone::sim::network
