#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "plan/scenario.h"
#include "sim/network/network_step.h"
#include "study/pricing.h"

namespace isochrone::study {

/// A kind of traffic on a link.
struct TrafficLine {
  plan::Stream stream = plan::Stream::kPipeline;
  int messages = 0;
  Bytes bytes;
};

/// A link that delayed messages, or carried most.
struct LinkLine {
  std::string name;  // "node3.nic2 -> leaf1"
  sim::network::LinkLoad load;
  double utilisation = 0;  // bytes over what it could carry in the step
  std::vector<TrafficLine> traffic;
};

/// The same step with its ranks placed in another order.
struct Placement {
  plan::RankOrder order = plan::RankOrder::kDataInner;
  Seconds step_time, gain, contention;  // gain: by how much the step is shorter there
};

struct NetworkAnswer {
  sim::network::NetworkStep step;
  std::string fabric;                  // "fat_tree", …
  std::string engine;                  // "max-min", "SimGrid"
  Seconds contention;                  // the step's end over that with every message alone on the wire
  BytesPerSecond bisection;            // of the whole cluster
  std::vector<LinkLine> links;         // most delay first
  std::optional<Placement> elsewhere;  // where sharing costs something and the ranks can stand otherwise
};

/// Plays the plan over the cluster's network, with the collectives of tasks that leave a node. `costs` made `pricing`,
/// for a fabric that nothing narrows: its links say that themselves. Cards and NVLink carry the shares of their
/// bandwidths that the cost model has measured for collectives; pipeline messages, which reach less on some cards,
/// count as more bytes.
NetworkAnswer PlayOnNetwork(const plan::Scenario& scenario, const plan::Plan& plan, const Pricing& pricing,
                            const costmodel::Costs& costs, sim::network::EngineChoice engine, bool timeline);

}  // namespace isochrone::study
