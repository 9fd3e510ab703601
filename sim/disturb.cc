#include "sim/disturb.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "sim/player.h"

namespace isochrone::sim {

namespace {

/// Mixes 64 bits so that any two inputs give unrelated outputs. Source: Steele et al., "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014 (SplitMix64's output function).
std::uint64_t Mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Standard normal, from two halves of one mixed number. Source: Box & Muller, 1958.
double Normal(std::uint64_t bits) {
  constexpr double kUnit = 1.0 / 4294967296.0;
  const double u = (static_cast<double>(bits >> 32) + 0.5) * kUnit, v = static_cast<double>(bits & 0xffffffffu) * kUnit;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

class Disturber {
 public:
  Disturber(const plan::Plan& plan, const StepCosts& costs, const Disturbances& disturbances)
      : plan_(plan), costs_(costs), what_(disturbances), layout_(plan.layout), slow_(layout_.World(), 1) {
    ISO_CHECK(layout_.pp == plan.schedule.placement.ranks);
    for (const auto& gpu : what_.slow_gpus) slow_.at(gpu.rank) *= gpu.factor;
    result_.group_wait.assign(layout_.World(), 0);
  }

  DisturbedStep Run() {
    plan::Plan tasks = plan_;  // without the epilogue: replicas meet before it
    tasks.epilogue.clear();
    StepPlayer player(tasks);
    for (int replica = 0; replica < layout_.dp; ++replica) PlayReplica(player, replica);
    // The epilogue follows the last replica; how long it takes is that of the undisturbed plan.
    const double whole = Simulate(plan_, costs_, false).makespan, body = Simulate(tasks, costs_, false).makespan;
    result_.undisturbed = whole;
    result_.makespan = result_.pipeline_end[result_.slowest_replica] + (whole - body);
    return std::move(result_);
  }

 private:
  void PlayReplica(StepPlayer& player, int replica) {
    Slowdown slowdown;
    slowdown.factor.resize(layout_.pp);
    for (int rank = 0; rank < layout_.pp; ++rank) slowdown.factor[rank] = FactorsOf(replica, rank);
    for (const auto& pause : what_.pauses) {
      const auto at = plan::CoordinatesOf(layout_, pause.rank);
      if (at.dp == replica) slowdown.pauses.push_back({at.pp, pause.at.value, pause.length.value});
    }
    const StepCosts costs = WithSlowLinks(replica);
    auto step = player.Play(costs, false, &slowdown);
    result_.pipeline_end.push_back(step.makespan);
    if (step.makespan > result_.pipeline_end[result_.slowest_replica] || replica == 0) {
      result_.slowest_replica = replica;
      result_.ranks = std::move(step.ranks);
    }
  }

  /// Of each task of a pipeline rank, the slowest factor of its group; adds up what the others wait.
  std::vector<float> FactorsOf(int replica, int pipeline_rank) {
    const auto& order = plan_.schedule.order[pipeline_rank];
    std::vector<float> slowest(order.size(), 0);
    const int group = layout_.tp * layout_.cp;
    std::vector<std::vector<float>> own(group, std::vector<float>(order.size()));
    std::vector<int> world(group);
    for (int member = 0; member < group; ++member) {
      world[member] = plan::RankAt(layout_, {member % layout_.tp, member / layout_.tp, replica, pipeline_rank});
      const std::uint64_t stream = Mix(Mix(what_.seed) ^ static_cast<std::uint64_t>(world[member]));
      for (std::size_t i = 0; i < order.size(); ++i) {
        const double jitter = what_.jitter == 0 ? 1 : std::exp(what_.jitter * Normal(Mix(stream + i)));
        own[member][i] = static_cast<float>(slow_[world[member]] * jitter);
        slowest[i] = std::max(slowest[i], own[member][i]);
      }
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      const double work = WorkOf(costs_, plan_.schedule.placement, pipeline_rank, order[i]);
      for (int member = 0; member < group; ++member)
        result_.group_wait[world[member]] += work * (slowest[i] - own[member][i]);
    }
    return slowest;
  }

  StepCosts WithSlowLinks(int replica) const {
    StepCosts costs = costs_;
    const plan::Placement& placement = plan_.schedule.placement;
    for (const auto& link : what_.slow_links) {
      const auto at = plan::CoordinatesOf(layout_, link.rank);
      if (at.dp != replica) continue;
      for (int chunk = 0; chunk < placement.chunks; ++chunk) {
        const std::size_t stage =
            placement.DirectionOf(at.pp, chunk) * placement.stages + placement.StageOf(at.pp, chunk);
        if (!costs.forward_message.empty()) costs.forward_message[stage] *= link.factor;
        if (!costs.backward_message.empty()) costs.backward_message[stage] *= link.factor;
      }
    }
    return costs;
  }

  const plan::Plan& plan_;
  const StepCosts& costs_;
  const Disturbances& what_;
  const plan::Layout& layout_;
  std::vector<double> slow_;  // [world rank]
  DisturbedStep result_;
};

}  // namespace

DisturbedStep Disturb(const plan::Plan& plan, const StepCosts& costs, const Disturbances& disturbances) {
  return Disturber(plan, costs, disturbances).Run();
}

}  // namespace isochrone::sim
