#pragma once

#include "costmodel/collective.h"

namespace isochrone::costmodel {

// The choice behind CollectiveTime, shared with its explanation and with the fit. Seconds and bytes as plain numbers:
// these are inner loops.

/// What groups of n get of a form's bandwidth: usable share of the group size times the links' ratio. n from 2 up.
/// `sharing` groups that cross between sockets at once share what one group of the whole node gets.
double LinkRatio(const CollectiveProfile& profile, int n, int sharing = 1);

/// The fastest in-node form for n ranks, and its time.
struct Choice {
  double seconds = 0;
  const CollectiveForm* form = nullptr;
};
Choice ChosenForm(const CollectiveProfile& profile, plan::CollectiveKind kind, int n, double size, double imbalance,
                  int sharing = 1);

/// Hops and bytes of one crossing form; the second table of collective.h. `wire` leaves a node, `believed` is what the
/// library takes for it when it chooses, `inside` passes over each in-node link, `local` through each rank's memory.
struct CrossingWork {
  double hops = 0, hops_between = 0, wire = 0, believed = 0, inside = 0, local = 0;
};
CrossingWork WorkOf(bool tree, plan::CollectiveKind kind, const plan::GroupShape& group, double size);

/// The crossing form that the library takes for the fastest, and its time. All kinds but all-to-all.
struct CrossingChoice {
  double seconds = 0;
  const CrossingForm* form = nullptr;
};
CrossingChoice ChosenCrossing(const CollectiveProfile& profile, const plan::Cluster& cluster,
                              const plan::GroupShape& group, plan::CollectiveKind kind, double size);

double CrossingAllToAll(const CollectiveProfile& profile, const plan::Cluster& cluster, const plan::GroupShape& group,
                        double size, double imbalance);

}  // namespace isochrone::costmodel
