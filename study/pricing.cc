#include "study/pricing.h"

#include <algorithm>

#include "plan/memory.h"

namespace isochrone::study {
namespace {

using costmodel::Costs;
using plan::Phase;

/// Expert all-to-alls of a pass hide behind the compute of the other direction, which they slow as all contention does.
void HideExperts(const costmodel::Contention& contention, ProgramPrice& price) {
  constexpr auto kExpert = static_cast<std::size_t>(plan::Stream::kExpert);
  const auto pass = [&](Phase phase) -> costmodel::PassPrice& { return price.pass[static_cast<std::size_t>(phase)]; };
  const double forward = pass(Phase::kForward).compute,
               backward = pass(Phase::kBackward).compute + pass(Phase::kRecompute).compute;
  const auto hide = [&](Phase phase, double beside) {
    costmodel::PassPrice& p = pass(phase);
    const double hidden = std::min(p.exposed[kExpert], beside), slower = hidden * (contention.compute[kExpert] - 1);
    p.exposed[kExpert] -= hidden;
    p.compute += slower;
    p.total += slower - hidden;
  };
  hide(Phase::kForward, backward);
  hide(Phase::kBackward, forward);
}

double Pass(const ProgramPrice& price, Phase phase) { return price.pass[static_cast<std::size_t>(phase)].total; }

double LayerSeconds(const ProgramPrice& price, Phase phase) {
  switch (phase) {
    case Phase::kBackward:
    case Phase::kBackwardInput:
      return Pass(price, Phase::kRecompute) + Pass(price, phase);
    default:
      return Pass(price, phase);
  }
}

/// Forward and backward of two microbatches as one: the compute of both runs in turn, and the communication of each
/// hides behind the compute of the other as far as that lasts. `batch`: the host's seconds of the forward pass.
double OverlappedSeconds(const std::vector<ProgramPrice>& programs, const plan::StageContent& forward,
                         const plan::StageContent& backward, double batch) {
  double compute = batch, exposed = 0;
  auto add = [&](const plan::StageContent& stage, std::initializer_list<Phase> phases) {
    for (const plan::Section& s : stage.sections) {
      for (Phase phase : phases) {
        const auto& pass = programs[static_cast<std::size_t>(s.program)].pass[static_cast<std::size_t>(phase)];
        compute += s.count * pass.compute;
        exposed += s.count * (pass.total - pass.compute);
      }
    }
  };
  add(forward, {Phase::kForward});
  add(backward, {Phase::kRecompute, Phase::kBackward});
  return std::max(compute, exposed);
}

std::vector<double> OpSeconds(const std::vector<plan::Op>& ops, const Costs& costs) {
  std::vector<double> seconds;
  for (const plan::Op& op : ops) seconds.push_back(costs.TimeOf(op).value);
  return seconds;
}

/// Whether some task is a forward and a backward pass run as one.
bool RunsPairs(const plan::Schedule& schedule) {
  for (const auto& order : schedule.order) {
    for (const plan::Task& task : order) {
      if (task.phase == Phase::kOverlapped) return true;
    }
  }
  return false;
}

void PriceTasks(const plan::Plan& plan, double batch, Pricing& pricing) {
  const plan::Placement& place = plan.schedule.placement;
  const bool pairs = RunsPairs(plan.schedule);
  const std::size_t slots = static_cast<std::size_t>(place.ranks * place.chunks);
  pricing.step.task.assign(slots * plan::kPhases, 0);
  for (int rank = 0; rank < place.ranks; ++rank) {
    for (int chunk = 0; chunk < place.chunks; ++chunk) {
      const auto& stage = plan.stages[static_cast<std::size_t>(place.StageOf(rank, chunk))];
      const auto slot = static_cast<std::size_t>(rank * place.chunks + chunk);
      for (std::size_t phase = 0; phase < plan::kPhases; ++phase) {
        pricing.step.task[slot * plan::kPhases + phase] =
            StageSeconds(pricing.programs, stage, static_cast<Phase>(phase));
      }
      pricing.step.task[slot * plan::kPhases + static_cast<std::size_t>(Phase::kForward)] += batch;
      for (int other = 0; pairs && other < place.chunks; ++other) {
        const auto& backward = plan.stages[static_cast<std::size_t>(place.StageOf(rank, other))];
        pricing.step.overlapped.push_back(OverlappedSeconds(pricing.programs, stage, backward, batch));
      }
    }
  }
}

}  // namespace

/// Each hop by where its ranks lie.
void PriceMessages(const plan::Plan& plan, const Costs& costs, sim::StepCosts& step) {
  const plan::Placement& place = plan.schedule.placement;
  step.forward_message.assign(static_cast<std::size_t>(place.directions * place.stages), 0);
  step.backward_message = step.forward_message;
  step.message_host = costs.HostOfMessage(plan.messages).value;
  for (int direction = 0; direction < place.directions; ++direction) {
    for (int stage = 0; stage + 1 < place.stages; ++stage) {
      const bool crosses =
          plan::PipelineCrossesNodes(plan.layout, place.RankOf(direction, stage), place.RankOf(direction, stage + 1));
      const double time =
          step.message_host + costs.MessageTime(plan.message_bytes, plan.message_scatter_gather, crosses).value;
      const auto hop = static_cast<std::size_t>(direction * place.stages + stage);
      step.forward_message[hop] = step.backward_message[hop + 1] = time;
    }
  }
}

ProgramPrice PriceOf(const plan::LayerProgram& program, const Costs& costs) {
  ProgramPrice price;
  for (std::size_t phase = 0; phase < plan::kPhases; ++phase) {
    for (const plan::Op& op : program.ops[phase]) price.op_seconds[phase].push_back(costs.TimeOf(op).value);
    price.late[phase] = costs.LateShares(program.ops[phase]);
    price.pass[phase] =
        costmodel::PriceOfPass(program.ops[phase], costs.HeldSeconds(program.ops[phase], price.op_seconds[phase]),
                               costs.ContentionOf(), price.late[phase]);
  }
  if (costs.OverlapsExperts()) HideExperts(costs.ContentionOf(), price);
  return price;
}

ComputeAlone ComputeAloneOf(const plan::LayerProgram& program, const ProgramPrice& price) {
  ComputeAlone alone;
  for (const Phase phase : {Phase::kForward, Phase::kRecompute, Phase::kBackward}) {
    const auto& ops = program.Ops(phase);
    const auto &seconds = price.op_seconds[static_cast<std::size_t>(phase)],
               &late = price.late[static_cast<std::size_t>(phase)];
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (ops[i].stream != plan::Stream::kCompute) continue;
      alone.all += seconds[i];
      if (!costmodel::IsProduct(ops[i])) continue;
      alone.products += seconds[i];
      if (!late.empty()) alone.late += late[i] * seconds[i];
    }
  }
  return alone;
}

costmodel::Slowdowns BesideData(const costmodel::Contention& contention, const ComputeAlone& compute) {
  const double all = std::max(compute.all, 1e-300);
  return costmodel::SlowdownsBeside(contention, plan::Stream::kData, compute.products / all, compute.late / all);
}

double StageSeconds(const std::vector<ProgramPrice>& programs, const plan::StageContent& stage, Phase phase) {
  double sum = 0;
  for (const plan::Section& s : stage.sections)
    sum += s.count * LayerSeconds(programs[static_cast<std::size_t>(s.program)], phase);
  return sum;
}

Pricing PriceOf(const plan::Plan& plan, const Costs& costs) {
  Pricing pricing;
  for (const plan::LayerProgram& program : plan.programs) pricing.programs.push_back(PriceOf(program, costs));
  PriceTasks(plan, costs.HostOfBatch().value, pricing);
  PriceMessages(plan, costs, pricing.step);
  for (const plan::SideTask& side : plan.side) pricing.step.side.push_back(costs.TimeOf(side.op).value);
  for (const auto& ops : plan.prologue) pricing.step.prologue.push_back(OpSeconds(ops, costs));
  for (const auto& ops : plan.epilogue) pricing.step.epilogue.push_back(OpSeconds(ops, costs));
  ComputeAlone compute;
  for (const plan::StageContent& stage : plan.stages) {
    for (const plan::Section& section : stage.sections) {
      const auto program = static_cast<std::size_t>(section.program);
      compute.Add(section.count, ComputeAloneOf(plan.programs[program], pricing.programs[program]));
    }
  }
  const costmodel::Slowdowns beside = BesideData(costs.ContentionOfBuckets(), compute);
  pricing.step.compute_slowdown = beside.compute;
  pricing.step.side_slowdown = beside.communication;
  return pricing;
}

plan::StageCosts MeanStageCosts(const std::vector<plan::LayerProgram>& programs,
                                const std::vector<plan::StageContent>& stages, const Costs& costs, Seconds message) {
  std::vector<ProgramPrice> prices;
  std::vector<plan::LayerBytes> bytes;
  for (const plan::LayerProgram& program : programs) {
    prices.push_back(PriceOf(program, costs));
    bytes.push_back(plan::BytesOf(program));
  }
  Bytes kept, for_weight;
  plan::StageCosts mean{
      .forward = Seconds(0), .backward_input = Seconds(0), .backward_weight = Seconds(0), .message = message};
  const double n = static_cast<double>(stages.size());
  for (const plan::StageContent& stage : stages) {
    mean.forward += (Seconds(StageSeconds(prices, stage, Phase::kForward)) + costs.HostOfBatch()) / n;
    mean.backward_input += Seconds(StageSeconds(prices, stage, Phase::kBackwardInput) / n);
    mean.backward_weight += Seconds(StageSeconds(prices, stage, Phase::kBackwardWeight) / n);
    for (const plan::Section& section : stage.sections) {
      const plan::LayerBytes& layer = bytes[static_cast<std::size_t>(section.program)];
      kept += section.count * layer.kept;
      for_weight += section.count * layer.kept_for_weight;
    }
  }
  if (kept.value > 0) mean.weight_share = std::min(1.0, for_weight / kept);
  return mean;
}

}  // namespace isochrone::study
