#include <algorithm>
#include <cmath>
#include <queue>

#include "base/error.h"
#include "sim/network/engines.h"
#include "sim/network/max_min.h"
#include "sim/network/route_table.h"

namespace isochrone::sim::network {

namespace {

constexpr double kSameInstant = 1e-12;  // seconds; events this close are answered by one new set of rates

std::vector<double> Capacities(const Topology& topology) {
  std::vector<double> capacity;
  for (const Link& link : topology.Links()) capacity.push_back(link.bandwidth.value);
  return capacity;
}

class MaxMinEngine {
 public:
  MaxMinEngine(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by)
      : graph_(graph),
        routes_(graph, topology, limit_by),
        ready_(graph),
        solver_(Capacities(topology)),
        flows_on_(topology.Links().size()),
        link_seen_(topology.Links().size(), 0) {
    for (int r = 0; r < routes_.Size(); ++r) max_hops_ = std::max(max_hops_, static_cast<int>(routes_.Links(r).size()));
    played_.start.resize(graph.Size());
    played_.end.resize(graph.Size());
  }

  Played Run() {
    for (const int root : ready_.Roots()) Begin(root);
    while (!events_.empty()) {
      const double until = events_.top().time + kSameInstant;
      while (!events_.empty() && events_.top().time <= until) {
        const Event event = events_.top();
        events_.pop();
        Handle(event);
      }
      ShareAnew();
    }
    ISO_CHECK_NOTE(ended_ == graph_.Size(), "the network graph waits in a circle");
    return std::move(played_);
  }

 private:
  enum class What : std::int8_t { kEnds, kLatencyOver, kFlowEnds };
  struct Event {
    double time;
    int id;  // activity; slot for kFlowEnds
    int version;
    What what;
    bool operator<(const Event& o) const { return time != o.time ? time > o.time : id > o.id; }  // earliest on top
  };
  struct Flow {
    int activity = -1, route = 0;
    int version = 0;
    std::int64_t seen = 0;
    double remaining = 0, rate = 0, updated = 0;  // bytes, bytes per second, seconds
  };
  struct Use {
    int slot, hop;
  };

  void Begin(int i) {
    played_.start[i] = Seconds(now_);
    const Activity& a = graph_.At(i);
    const double latency = a.IsMessage() ? a.extra_latency + routes_.Latency(routes_.Of(i)) : 0;
    const bool flows = a.IsMessage() && a.amount > 0;
    events_.push({now_ + (a.IsMessage() ? latency : a.amount), i, 0, flows ? What::kLatencyOver : What::kEnds});
  }

  void Handle(const Event& event) {
    switch (event.what) {
      case What::kEnds:
        now_ = std::max(now_, event.time);
        End(event.id);
        break;
      case What::kLatencyOver:
        now_ = std::max(now_, event.time);
        AddFlow(event.id);
        break;
      case What::kFlowEnds:
        if (flows_[event.id].version != event.version) break;
        now_ = std::max(now_, event.time);
        End(RemoveFlow(event.id));
        break;
    }
  }

  void End(int i) {
    played_.end[i] = Seconds(now_);
    played_.makespan = Max(played_.makespan, played_.end[i]);
    ++ended_;
    ready_.End(i, [this](int next) { Begin(next); });
  }

  void AddFlow(int activity) {
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<int>(flows_.size()));
      flows_.emplace_back();
      place_.resize(flows_.size() * max_hops_);
    }
    const int slot = free_slots_.back();
    free_slots_.pop_back();
    Flow& flow = flows_[slot];
    flow.activity = activity;
    flow.route = routes_.Of(activity);
    flow.remaining = graph_.At(activity).amount;
    flow.rate = 0;
    flow.updated = now_;
    int hop = 0;
    for (const int link : routes_.Links(flow.route)) {
      place_[slot * max_hops_ + hop] = static_cast<int>(flows_on_[link].size());
      flows_on_[link].push_back({slot, hop++});
      touched_.push_back(link);
    }
  }

  int RemoveFlow(int slot) {
    Flow& flow = flows_[slot];
    int hop = 0;
    for (const int link : routes_.Links(flow.route)) {
      std::vector<Use>& uses = flows_on_[link];
      const int at = place_[slot * max_hops_ + hop++];
      uses[at] = uses.back();
      place_[uses[at].slot * max_hops_ + uses[at].hop] = at;
      uses.pop_back();
      touched_.push_back(link);
    }
    ++flow.version;
    free_slots_.push_back(slot);
    return flow.activity;
  }

  // Rates can change only for flows that a chain of common links joins to a touched link.
  void CollectReach() {
    ++stamp_;
    reach_.clear();
    std::vector<int>& links = touched_;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < links.size(); ++i)
      if (link_seen_[links[i]] != stamp_) link_seen_[links[kept++] = links[i]] = stamp_;
    links.resize(kept);
    for (std::size_t i = 0; i < links.size(); ++i) {
      for (const Use& use : flows_on_[links[i]]) {
        if (flows_[use.slot].seen == stamp_) continue;
        flows_[use.slot].seen = stamp_;
        reach_.push_back(use.slot);
        for (const int link : routes_.Links(flows_[use.slot].route)) {
          if (link_seen_[link] == stamp_) continue;
          link_seen_[link] = stamp_;
          links.push_back(link);
        }
      }
    }
    links.clear();
  }

  void ShareAnew() {
    if (touched_.empty()) return;
    CollectReach();
    first_.assign(1, 0);
    hops_.clear();
    for (const int slot : reach_) {
      const auto links = routes_.Links(flows_[slot].route);
      hops_.insert(hops_.end(), links.begin(), links.end());
      first_.push_back(static_cast<int>(hops_.size()));
    }
    rates_.resize(reach_.size());
    solver_.Solve(first_, hops_, rates_);
    for (std::size_t i = 0; i < reach_.size(); ++i) SetRate(reach_[i], rates_[i]);
  }

  void SetRate(int slot, double rate) {
    Flow& flow = flows_[slot];
    if (std::abs(rate - flow.rate) <= 1e-12 * rate) return;
    flow.remaining = std::max(0.0, flow.remaining - flow.rate * (now_ - flow.updated));
    flow.updated = now_;
    flow.rate = rate;
    events_.push({now_ + flow.remaining / rate, slot, ++flow.version, What::kFlowEnds});
  }

  const NetworkGraph& graph_;
  RouteTable routes_;
  ReadyTracker ready_;
  MaxMinSolver solver_;
  Played played_;
  double now_ = 0;
  int ended_ = 0;
  std::priority_queue<Event> events_;
  std::vector<Flow> flows_;
  std::vector<int> free_slots_;
  int max_hops_ = 0;
  std::vector<int> place_;                  // [slot][hop]: where the flow stands in flows_on_ of that link
  std::vector<std::vector<Use>> flows_on_;  // per link
  std::vector<std::int64_t> link_seen_;
  std::int64_t stamp_ = 0;
  std::vector<int> touched_, reach_, first_, hops_;
  std::vector<double> rates_;
};

}  // namespace

Played PlayWithMaxMin(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by) {
  return MaxMinEngine(graph, topology, limit_by).Run();
}

}  // namespace isochrone::sim::network
