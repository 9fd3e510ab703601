#include <queue>
#include <utility>

#include "base/error.h"
#include "sim/network/engines.h"
#include "sim/network/route_table.h"

namespace isochrone::sim::network {

Played PlayUncontended(const NetworkGraph& graph, const Topology& topology) {
  const RouteTable routes(graph, topology, LimitBy::kEveryLink);
  ReadyTracker ready(graph);
  Played played;
  played.start.resize(graph.Size());
  played.end.resize(graph.Size());

  // Depth first is enough: an activity becomes ready when the last it waits for has ended, whatever order ends them.
  std::vector<int> begun = ready.Roots();
  int ended = 0;
  while (!begun.empty()) {
    const int i = begun.back();
    begun.pop_back();
    const Activity& a = graph.At(i);
    const int route = routes.Of(i);
    const double lasts =
        a.IsMessage() ? a.extra_latency + routes.Latency(route) + a.amount / routes.Bandwidth(route) : a.amount;
    played.end[i] = played.start[i] + Seconds(lasts);
    played.makespan = Max(played.makespan, played.end[i]);
    ++ended;
    ready.ForEachAfter(i, [&](int next) { played.start[next] = Max(played.start[next], played.end[i]); });
    ready.End(i, [&](int next) { begun.push_back(next); });
  }
  ISO_CHECK_NOTE(ended == graph.Size(), "the network graph waits in a circle");
  return played;
}

}  // namespace isochrone::sim::network
