#include "study/terms/estimate.h"

#include <algorithm>
#include <optional>

#include "plan/stages.h"
#include "sim/analytic.h"
#include "study/predict.h"

namespace isochrone::study {

using plan::ScheduleKind;

PipelineTerms TermsOfPipeline(const plan::ScheduleShape& shape, const StageTerms& stages, double message,
                              plan::MessageMode mode, const sim::OrderPaths* paths) {
  sim::StageTimes times;
  const bool splits = SplitsBackward(shape.kind);
  times.forward = stages.forward;
  times.input = splits ? stages.input : stages.backward;
  static const std::vector<double> zeros(32768, 0.0);
  times.weight =
      splits ? std::span<const double>(stages.weight) : std::span<const double>(zeros.data(), stages.forward.size());
  if (splits) {
    times.backward = stages.backward;
    times.pair = {stages.forward_compute, stages.forward_exposed, stages.backward_compute, stages.backward_exposed};
  }
  times.kind_of = stages.cut->kind;
  times.stages = stages.cut->count;
  times.message = message;
  times.mode = mode;
  const sim::PipelineEstimate e = sim::EstimatePipeline(shape, times, paths);
  return {shape, message, mode, e.makespan, e.ideal, e.bubble, e.messages, e.late, e.busiest, e.exact};
}

Estimate EstimateStep(const PipelineTerms& pipeline, const AroundTerms& around, double host) {
  Estimate e;
  e.ideal = pipeline.ideal;
  e.bubble = pipeline.bubble;
  e.messages = pipeline.messages;
  e.host = host;
  e.data = around.data;
  e.around = around.until + around.barrier + around.gather - around.data;
  e.step_time = pipeline.makespan + around.until + around.barrier + around.gather + host;
  return e;
}

Estimate EstimateStep(const PipelineTerms& pipeline, const StageTerms& stages, const StepTerms& step,
                      const costmodel::Slowdowns& beside_data, double host) {
  if (step.barrier) return EstimateStep(pipeline, TermsAround(pipeline.shape.kind, stages, step, beside_data), host);
  Estimate e;
  e.ideal = pipeline.ideal;
  e.messages = pipeline.messages;
  e.host = host;
  const Period period =
      PeriodWithoutBarrier(pipeline.shape.kind, pipeline.makespan, pipeline.late, stages, step, beside_data);
  e.data = period.data;
  e.bubble = pipeline.bubble - pipeline.late;
  e.around = period.seconds - e.ideal - e.bubble - e.messages - e.data;
  e.step_time = period.seconds + host;
  return e;
}

double AddState(std::span<const double> activations, const StepTerms& step, std::span<double> bytes) {
  double even = 0, odd = 0;  // two maxima, so that one need not wait for the other
  std::size_t r = 0;
  for (const RankClass& of : step.classes) {
    const std::size_t end = r + static_cast<std::size_t>(of.ranks);
    for (; r < end; ++r) {
      bytes[r] = activations[r] + of.state;
      std::swap(even, odd);
      even = std::max(even, bytes[r]);
    }
  }
  return std::max(even, odd);
}

plan::ScheduleShape ScheduleShapeOf(const plan::Scenario& s) {
  return {.kind = s.strategy.schedule,
          .ranks = s.strategy.pipeline,
          .chunks = plan::ChunksOf(s.strategy),
          .microbatches = s.Microbatches()};
}

InFlight InFlightOf(const plan::Scenario& s) {
  if (s.strategy.schedule == ScheduleKind::kText)
    return CountInFlight(plan::ParseSchedule(s.strategy.schedule_text, s.file));
  return InFlightOf(ScheduleShapeOf(s));
}

MessageTerms TermsOfMessage(const plan::Scenario& s, const costmodel::Costs& costs) {
  if (s.strategy.pipeline == 1) return {};
  const Bytes bytes = plan::MessageBytes(s);
  const bool scatter = plan::ScattersMessages(s.strategy);
  const Seconds dearest = costs.MessageTime(bytes, scatter);
  // Where nodes hold several stages, those at a node's end, which set the pace, have one hop of each kind.
  const bool mixed = plan::NodesHoldSeveralStages(plan::LayoutOf(s));
  const Seconds link = mixed ? 0.5 * (dearest + costs.MessageTime(bytes, scatter, false)) : dearest;
  return {bytes.value, (link + costs.HostOfMessage(plan::MessageModeOf(s.strategy))).value};
}

ScenarioEstimate EstimateOf(const plan::Scenario& s) {
  const costmodel::Costs costs = CostsOf(s);
  const BlockShape blocks = ShapeOfBlocks(s, plan::BuildBarePrograms(s));
  const std::vector<LayerTerms> prices = PriceBlocks(blocks, costs);
  const StageCut cut = CutOf(s, blocks.table);
  const InFlight in_flight = InFlightOf(s);
  StageTerms stages;
  AddUpStages(s.strategy, blocks, prices, costs.HostOfBatch().value, cut, stages);
  const MessageTerms message = TermsOfMessage(s, costs);
  const plan::ScheduleShape shape = ScheduleShapeOf(s);
  const plan::MessageMode mode = plan::MessageModeOf(s.strategy);
  std::optional<sim::OrderPaths> paths;
  if (sim::HasPaths(shape.kind)) {
    const PathsKey key = KeyOfPaths(shape, cut, mode);
    paths = PathsOf(key, OrderOf(key.core));
  }
  ScenarioEstimate answer;
  answer.pipeline = TermsOfPipeline(shape, stages, message.seconds, mode, paths ? &*paths : nullptr);
  std::vector<double> activations(static_cast<std::size_t>(in_flight.ranks));
  answer.bytes.resize(activations.size());
  const Held held = HeldByKind(in_flight, {cut.kind, cut.above});
  ActivationBytes(held, stages, plan::MessageBuffers(s).value, activations);
  plan::Plan sample = SampleOf(blocks);
  const StepTerms step = TermsOfStep(s, cut, in_flight, costs, sample);
  answer.estimate = EstimateStep(answer.pipeline, stages, step,
                                 BesideData(costs.ContentionOfBuckets(), ComputeAloneOf(blocks, prices)),
                                 costs.HostTimePerStep().value);
  answer.estimate.memory = AddState(activations, step, answer.bytes);
  return answer;
}

}  // namespace isochrone::study
