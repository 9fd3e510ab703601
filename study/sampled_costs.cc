#include "study/sampled_costs.h"

#include "base/error.h"

namespace isochrone::study {
namespace {

using plan::Phase;

class Pricer {
 public:
  Pricer(const plan::Plan& plan, const plan::Samples& samples) : plan_(plan), samples_(samples) {}

  double TimeOf(const plan::Op& op) const {
    const std::string signature = plan::SignatureOf(plan_.layout, op);
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
      for (const double t : Times(program.Ops(phase))) layer += t;
      if (phase == Phase::kBackward || phase == Phase::kBackwardInput) {
        for (const double t : Times(program.Ops(Phase::kRecompute))) layer += t;
      }
      sum += s.count * layer;
    }
    return sum;
  }

 private:
  const plan::Plan& plan_;
  const plan::Samples& samples_;
};

}  // namespace

sim::StepCosts CostsFromSamples(const plan::Plan& plan, const plan::Samples& samples) {
  const Pricer pricer(plan, samples);
  const plan::Placement& place = plan.schedule.placement;
  sim::StepCosts costs;
  for (int rank = 0; rank < place.ranks; ++rank) {
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      const plan::StageContent& stage = plan.stages[static_cast<std::size_t>(place.StageOf(rank, chunk))];
      for (int phase = 0; phase < plan::kPhases; ++phase)
        costs.task.push_back(pricer.StageTime(stage, static_cast<Phase>(phase)));
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
  const double message = place.stages > 1 ? pricer.TimeOf(plan::MessageOp(plan)) : 0;
  costs.forward_message.assign(static_cast<std::size_t>(place.directions * place.stages), message);
  costs.backward_message = costs.forward_message;
  for (const plan::SideTask& side : plan.side) costs.side.push_back(pricer.TimeOf(side.op));
  for (const auto& ops : plan.prologue) costs.prologue.push_back(pricer.Times(ops));
  for (const auto& ops : plan.epilogue) costs.epilogue.push_back(pricer.Times(ops));
  return costs;
}

}  // namespace isochrone::study
