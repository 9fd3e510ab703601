#pragma once

#include <vector>

#include "plan/plan.h"
#include "sim/event.h"
#include "sim/network/expand.h"
#include "sim/network/link_report.h"

namespace isochrone::sim::network {

enum class EngineChoice {
  kMaxMin,       // ours: faster, the same answer
  kSimGrid,      // the cross-check
  kUncontended,  // every message alone on the wire
};

struct NetworkOptions {
  EngineChoice engine = EngineChoice::kMaxMin;
  bool with_timeline = false;
  int links_in_report = 10;
};

struct NetworkStep {
  StepResult step;              // as sim::Simulate gives it, of each pipeline rank's first replica
  Seconds uncontended;          // makespan of the same step with every message alone on the wire
  std::vector<LinkLoad> links;  // LoadsOf; labels are plan::Stream
  std::vector<TierLoad> tiers;
  int activities = 0, messages = 0;
  std::vector<double> side;                             // seconds that each side task took
  std::vector<std::vector<double>> prologue, epilogue;  // [pipeline rank][op] seconds it took
};

/// A step over a real network: Expand, played, every rank's time accounted for as sim::Simulate does it.
///
/// host_of_rank  of each world rank; empty: rank r runs on host r
/// inside        collectives of the tasks over groups that span nodes (without, tasks take what costs say), and how
///               all-reduces go between nodes
/// Requires  as Expand; Topology has a host for each rank
NetworkStep SimulateOnNetwork(const plan::Plan& plan, const StepCosts& costs, const Topology& topology,
                              std::vector<int> host_of_rank, const NetworkOptions& options,
                              const StepCollectives& inside = {});

}  // namespace isochrone::sim::network
