#pragma once

#include <cstdint>
#include <vector>

#include "base/units.h"

namespace isochrone::sim::network {

/// What one host does for a while (`dst` is -1), or what one host sends to another.
struct Activity {
  int src = 0, dst = -1;
  int label = 0;             // the caller's: a kind of traffic, a stage; reports group by it
  double amount = 0;         // seconds of work, or bytes to carry
  double extra_latency = 0;  // seconds that a message waits beside its route's latency: the steps folded into it
  bool IsMessage() const { return dst >= 0; }
};

/// A step as activities and what must end before what begins. Hosts are those of a Topology. Activities of one host
/// share nothing: a stream is a chain of dependencies.
class NetworkGraph {
 public:
  int AddCompute(int host, Seconds duration, int label = 0);
  int AddMessage(int src, int dst, Bytes size, Seconds extra_latency = {}, int label = 0);  // src != dst
  void AddDependency(int before, int after) { edges_.push_back({before, after}); }

  int Size() const { return static_cast<int>(activities_.size()); }
  const Activity& At(int i) const { return activities_[i]; }
  const std::vector<Activity>& Activities() const { return activities_; }

  struct Edge {
    int before, after;
  };
  const std::vector<Edge>& Edges() const { return edges_; }

 private:
  std::vector<Activity> activities_;
  std::vector<Edge> edges_;
};

/// When each activity began (it was ready) and ended, from the start of the step.
struct Played {
  std::vector<Seconds> start, end;
  Seconds makespan{0};
};

/// Counts down what each activity still waits for.
class ReadyTracker {
 public:
  explicit ReadyTracker(const NetworkGraph& graph);

  /// Activities that wait for nothing, ascending.
  std::vector<int> Roots() const;
  /// Calls `begin(i)` for each activity that waited only for `ended`, ascending.
  template <class Begin>
  void End(int ended, Begin&& begin) {
    for (int i = first_[ended]; i < first_[ended + 1]; ++i)
      if (--waits_for_[after_[i]] == 0) begin(after_[i]);
  }
  /// Calls `visit(i)` for each activity that comes after `before`, ready or not.
  template <class Visit>
  void ForEachAfter(int before, Visit&& visit) const {
    for (int i = first_[before]; i < first_[before + 1]; ++i) visit(after_[i]);
  }

 private:
  std::vector<int> first_, after_;  // CSR by the earlier activity
  std::vector<int> waits_for_;
};

}  // namespace isochrone::sim::network
