// GCC 12 takes the optional in Boost's edge iterators for uninitialised once it has inlined them.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "sim/network/bisection.h"

#include <cmath>
#include <cstdint>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>

#include "base/error.h"

namespace isochrone::sim::network {

namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using EdgeProperties =
    boost::property<boost::edge_capacity_t, std::int64_t,
                    boost::property<boost::edge_residual_capacity_t, std::int64_t,
                                    boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>;
using VertexProperties = boost::property<
    boost::vertex_predecessor_t, Traits::edge_descriptor,
    boost::property<boost::vertex_color_t, boost::default_color_type, boost::property<boost::vertex_distance_t, int>>>;
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, VertexProperties, EdgeProperties>;

void AddArcs(Graph* graph, int from, int to, std::int64_t there, std::int64_t back) {
  const auto capacity = get(boost::edge_capacity, *graph);
  const auto reverse = get(boost::edge_reverse, *graph);
  const auto a = add_edge(from, to, *graph).first, b = add_edge(to, from, *graph).first;
  capacity[a] = there;
  capacity[b] = back;
  reverse[a] = b;
  reverse[b] = a;
}

}  // namespace

BytesPerSecond Bisection(const Topology& topology) {
  ISO_CHECK(topology.Hosts() >= 2);
  constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;
  const int vertices = static_cast<int>(topology.Vertices().size()), source = vertices, sink = vertices + 1;
  Graph graph(vertices + 2);
  const std::vector<Link>& links = topology.Links();
  for (std::size_t l = 0; l < links.size(); l += 2)  // a cable's two directions are neighbours
    AddArcs(&graph, links[l].from, links[l].to, std::llround(links[l].bandwidth.value),
            std::llround(links[l + 1].bandwidth.value));
  for (int host = 0; host < topology.Hosts(); ++host) {
    if (host < topology.Hosts() / 2) AddArcs(&graph, source, topology.HostVertex(host), kUnlimited, 0);
    else AddArcs(&graph, topology.HostVertex(host), sink, kUnlimited, 0);
  }
  return BytesPerSecond(static_cast<double>(boost::boykov_kolmogorov_max_flow(graph, source, sink)));
}

}  // namespace isochrone::sim::network
