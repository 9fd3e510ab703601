#include "study/sampled_costs.h"

#include <array>
#include <vector>

#include "base/error.h"
#include "plan/layer_traffic.h"

namespace isochrone::study {
namespace {

using plan::Phase;

class Pricer {
 public:
  Pricer(const plan::Plan& plan, const plan::Samples& samples) : plan_(plan), samples_(samples) {}

  double TimeOf(const plan::Op& op) const { return Find(op, plan::SignatureOf(plan_.layout, op)); }
  double TimeOf(const plan::Op& op, Phase phase) const { return Find(op, plan::SignatureOf(plan_.layout, phase, op)); }
  double Find(const plan::Op& op, const std::string& signature) const {
    const auto it = samples_.by_signature.find(signature);
    if (it == samples_.by_signature.end()) {
      throw Error("op " + op.name, "was not measured: " + signature, "measure this scenario with isochrone sample");
    }
    return it->second.seconds;
  }

  std::vector<double> Times(const std::vector<plan::Op>& ops) const {
    std::vector<double> seconds;
    for (const plan::Op& op : ops) seconds.push_back(TimeOf(op));
    return seconds;
  }

  /// One phase of one stage; a backward phase holds its recomputation.
  double StageTime(const plan::StageContent& stage, Phase phase) const {
    double sum = 0;
    for (const plan::Section& s : stage.sections) {
      const plan::LayerProgram& program = plan_.programs[static_cast<std::size_t>(s.program)];
      double layer = 0;
      for (const plan::Op& op : program.Ops(phase)) layer += TimeOf(op, phase);
      if (phase == Phase::kBackward || phase == Phase::kBackwardInput) {
        for (const plan::Op& op : program.Ops(Phase::kRecompute)) layer += TimeOf(op, Phase::kRecompute);
      }
      sum += s.count * layer;
    }
    return sum;
  }

 private:
  const plan::Plan& plan_;
  const plan::Samples& samples_;
};

/// Which phases the schedule's tasks have: only those were measured.
std::array<bool, plan::kPhases> PhasesOf(const plan::Schedule& schedule) {
  std::array<bool, plan::kPhases> present{};
  for (const auto& order : schedule.order) {
    for (const plan::Task& task : order) {
      present[static_cast<std::size_t>(task.phase)] = true;
      if (task.phase == Phase::kOverlapped)
        present[static_cast<std::size_t>(Phase::kForward)] = present[static_cast<std::size_t>(Phase::kBackward)] = true;
    }
  }
  present[static_cast<std::size_t>(Phase::kRecompute)] = present[static_cast<std::size_t>(Phase::kOverlapped)] = false;
  return present;
}

/// Copies of what enters and leaves a slot's pass, from and to other ranks.
class Messages {
 public:
  Messages(const plan::Plan& plan, const Pricer& pricer) : place_(plan.schedule.placement) {
    if (place_.stages == 1) return;
    copy_ = pricer.TimeOf(plan::MessageOp(plan)) / 2;
    if (plan.message_scatter_gather) gather_ = pricer.TimeOf(plan::MessageGatherOp(plan));
  }
  double Of(int rank, int chunk, Phase phase) const {
    const int stage = place_.StageOf(rank, chunk), direction = place_.DirectionOf(rank, chunk);
    const auto away = [&](int other) {
      return other >= 0 && other < place_.stages && place_.RankOf(direction, other) != rank;
    };
    const int step = phase == Phase::kForward ? 1 : phase == Phase::kBackwardWeight ? 0 : -1;
    if (step == 0) return 0;
    return (away(stage - step) ? copy_ + gather_ : 0) + (away(stage + step) ? copy_ : 0);
  }

 private:
  const plan::Placement& place_;
  double copy_ = 0, gather_ = 0;
};

sim::StepCosts CostsFromSamples(const plan::Plan& plan, const plan::Samples& samples) {
  const Pricer pricer(plan, samples);
  const Messages messages(plan, pricer);
  const plan::Placement& place = plan.schedule.placement;
  const std::array<bool, plan::kPhases> phases = PhasesOf(plan.schedule);
  sim::StepCosts costs;
  for (int rank = 0; rank < place.ranks; ++rank) {
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      const plan::StageContent& stage = plan.stages[static_cast<std::size_t>(place.StageOf(rank, chunk))];
      for (std::size_t i = 0; i < plan::kPhases; ++i) {
        const Phase phase = static_cast<Phase>(i);
        costs.task.push_back(phases[i] ? pricer.StageTime(stage, phase) + messages.Of(rank, chunk, phase) : 0);
      }
    }
  }
  for (int rank = 0; rank < place.ranks; ++rank) {  // an overlapped pair is its two passes, one after the other
    for (int f = 0; f < place.chunks; ++f) {
      for (int b = 0; b < place.chunks; ++b) {
        const auto at = [&](int chunk, Phase phase) {
          return costs
              .task[static_cast<std::size_t>((rank * place.chunks + chunk) * plan::kPhases + static_cast<int>(phase))];
        };
        costs.overlapped.push_back(at(f, Phase::kForward) + at(b, Phase::kBackward));
      }
    }
  }
  for (const plan::SideTask& side : plan.side) costs.side.push_back(pricer.TimeOf(side.op));
  for (const auto& ops : plan.prologue) costs.prologue.push_back(pricer.Times(ops));
  for (const auto& ops : plan.epilogue) costs.epilogue.push_back(pricer.Times(ops));
  return costs;
}

/// Where every layer gathers and reduces its own state, and nothing overlaps, no layer's is left over for before or
/// after the pipeline.
void DropLeftovers(std::vector<std::vector<plan::Op>>& ranks) {
  for (auto& ops : ranks) {
    std::erase_if(ops, [](const plan::Op& op) {
      return op.name == "gradients" || op.name == "gradient_shards" || op.name == "expert_gradients" ||
             op.name == "parameters" || op.name == "expert_parameters";
    });
  }
}

}  // namespace

Seconds PredictFromSamples(const plan::Scenario& scenario, const plan::Plan& plan, const plan::Samples& samples) {
  plan::Plan serial = plan;
  serial.messages = plan::MessageMode::kOverlapped;  // copies are part of the tasks
  if (plan::ReducesEveryMicrobatch(scenario.strategy)) {
    if (scenario.strategy.optimizer_sharding == plan::Sharding::kZero3) DropLeftovers(serial.prologue);
    DropLeftovers(serial.epilogue);
  }
  const sim::StepCosts costs = CostsFromSamples(serial, samples);
  for (plan::SideTask& side : serial.side) side.op.stream = plan::Stream::kCompute;
  return sim::SteadyPeriod(serial, costs);
}

}  // namespace isochrone::study
