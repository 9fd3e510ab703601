#include "study/search/estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <type_traits>

#include "plan/stages.h"
#include "sim/analytic.h"
#include "study/predict.h"

namespace isochrone::study {
namespace {

using plan::ScheduleKind;

constexpr std::size_t kMostChunks = 256;  // of a rank: plan::BuildSchedule refuses more

/// The data stream of one rank beside its compute: buckets queue, and both are slower while both run.
class DataQueue {
 public:
  explicit DataQueue(const costmodel::Contention& contention) : contention_(contention) {}

  void Add(double seconds) { left_ += seconds; }
  void Compute(double work) { Compute(1, work, 0); }

  /// `n` times: `work` seconds of compute, and then a bucket of `reduce` seconds. While the queue outlasts the work,
  /// all steps are alike; so are those that begin with the same short queue.
  void Compute(int n, double work, double reduce) {
    const double slowed = work * contention_.compute, drains = slowed / contention_.communication;
    work_ += n * work;
    while (n > 0) {
      int alike = 1;
      if (left_ >= drains) {
        if (reduce >= drains) alike = n;
        else alike = static_cast<int>(std::min<double>(n, 1 + std::floor((left_ - drains) / (drains - reduce))));
        now_ += alike * slowed;
        left_ += alike * (reduce - drains);
      } else {
        if (left_ == reduce) alike = n;
        const double drained = left_ * contention_.communication;  // time until the queue is empty
        now_ += alike * (drained + (work - drained / contention_.compute));
        left_ = reduce;
      }
      n -= alike;
    }
  }
  double Slower() const { return now_ - work_; }
  double Left() const { return left_; }

 private:
  const costmodel::Contention& contention_;
  double now_ = 0, work_ = 0, left_ = 0;
};

/// What gradient buckets do to a rank: `slower` holds up the ranks that wait for its last pass, `left` only itself.
struct Side {
  double slower = 0, left = 0;
};

Side SideOf(const StepTerms& step, std::size_t c, ScheduleKind kind, const StageTerms& stages,
            const InFlight& in_flight, const costmodel::Contention& contention) {
  const RankClass& of = step.classes[c];
  const Buckets* buckets = step.buckets.data() + c * static_cast<std::size_t>(in_flight.chunks);
  const std::vector<double>& pass = SplitsBackward(kind) ? stages.weight : stages.backward;
  const auto seconds = [&](int chunk) {
    return pass[static_cast<std::size_t>(
        in_flight.stage[static_cast<std::size_t>(of.first_rank * in_flight.chunks + chunk)])];
  };
  const bool in_groups = kind == ScheduleKind::kInterleaved1f1b;
  DataQueue queue(contention);
  for (int chunk = in_flight.chunks - 1; chunk >= 0; --chunk) {
    const auto [count, reduce] = buckets[chunk];
    if (count == 0) continue;
    queue.Compute(count, seconds(chunk) / count, reduce);
    // The last group of microbatches passes the chunk below before that one's last pass.
    if (in_groups && chunk > 0) queue.Compute((in_flight.ranks - 1) * seconds(chunk - 1));
  }
  queue.Add(of.reduce_late);
  return {queue.Slower(), queue.Left()};
}

bool Drains(ScheduleKind kind) {
  return kind == ScheduleKind::kGpipe || kind == ScheduleKind::k1f1b || kind == ScheduleKind::kInterleaved1f1b;
}

/// From the end of the pipeline's last task to the gradient norm's barrier.
double UntilBarrier(ScheduleKind kind, const StageTerms& stages, const InFlight& in_flight, const StepTerms& step,
                    const costmodel::Contention& contention, double& beside) {
  double tied_ready = 0, tied = 0, chain = 0, latest = 0, plain = 0;
  const bool drains = Drains(kind);
  // From the last class to the first: a slower last pass holds up every rank before it.
  const auto ready = [&](std::size_t c) {
    const RankClass& of = step.classes[c];
    const Side side = SideOf(step, c, kind, stages, in_flight, contention);
    chain = drains ? chain + side.slower * of.ranks : std::max(chain, side.slower);
    const double lag = drains ? stages.backward_before[static_cast<std::size_t>(of.first_rank)] : 0;
    plain = std::max(plain, of.to_tied + of.to_barrier - lag);
    return chain + side.left + of.to_tied - lag;
  };
  for (std::size_t c = step.classes.size(); c-- > 0;) {
    const RankClass& of = step.classes[c];
    const double at = ready(c);
    if (of.tied > 0) {
      tied_ready = std::max(tied_ready, at);
      tied = std::max(tied, of.tied + of.to_barrier);
      plain = std::max(plain, of.to_tied + of.tied + of.to_barrier);
    } else {
      latest = std::max(latest, at + of.to_barrier);
    }
  }
  const double until = std::max(latest, tied_ready + tied);
  beside = std::max(0.0, until - plain);
  return until;
}

/// One step after the other where no rank waits for all: of the rank that takes longest.
double WithoutBarrier(const PipelineTerms& pipeline, const StageTerms& stages, const InFlight& in_flight,
                      const StepTerms& step, const costmodel::Contention& contention, double& beside) {
  const bool drains = Drains(pipeline.shape.kind);
  double longest = 0, chain = 0;
  for (std::size_t c = step.classes.size(); c-- > 0;) {
    const RankClass& of = step.classes[c];
    const Side side = SideOf(step, c, pipeline.shape.kind, stages, in_flight, contention);
    chain = drains ? chain + side.slower * of.ranks : std::max(chain, side.slower);
    const auto first = static_cast<std::size_t>(of.first_rank);
    const double shifted = drains ? stages.backward_before[first] + stages.forward_before[first] : pipeline.late;
    const double epilogue = of.to_tied + of.tied + of.to_barrier + of.barrier + of.after;
    const double period = pipeline.makespan - shifted + chain + side.left + epilogue + of.prologue + of.gather;
    if (period <= longest) continue;
    longest = period;
    beside = chain + side.left + of.gather;
  }
  return longest;
}

void AddUpStage(const plan::Strategy& strategy, const BlockShape& blocks, std::span<const LayerTerms> prices,
                const plan::StageContent& stage, std::size_t s, StageTerms& into) {
  for (const plan::Section& section : stage.sections) {
    const LayerTerms& t = prices[static_cast<std::size_t>(section.program)];
    into.forward[s] += section.count * t.forward;
    into.backward[s] += section.count * t.backward;
    into.input[s] += section.count * t.input;
    into.weight[s] += section.count * t.weight;
    into.forward_compute[s] += section.count * t.forward_compute;
    into.forward_exposed[s] += section.count * t.forward_exposed;
    into.backward_compute[s] += section.count * t.backward_compute;
    into.backward_exposed[s] += section.count * t.backward_exposed;
    const plan::LayerProgram& program = blocks.table.programs[static_cast<std::size_t>(section.program)];
    into.parameters[s] += section.count * (program.parameters + program.expert_parameters);
  }
  const plan::StageBytes bytes = plan::BytesOf(strategy, blocks.bytes, stage, blocks.holding);
  into.kept[s] = bytes.kept.value;
  into.kept_for_weight[s] = bytes.kept_for_weight.value;
  into.forward_workspace[s] = bytes.forward_workspace.value;
  into.backward_workspace[s] = bytes.backward_workspace.value;
  into.backward_input_workspace[s] = bytes.backward_input_workspace.value;
}

/// `chunks` of a rank: a number, or a constant so that the loops over them go.
template <class Chunks>
void ActivationBytes(const InFlight& in_flight, Chunks chunks, const StageTerms& stages, std::span<double> bytes) {
  const auto n = static_cast<std::size_t>(chunks);
  std::array<double, kMostChunks> kept, rest;  // of the rank's chunks
  for (int rank = 0; rank < in_flight.ranks; ++rank) {
    const int* stage = in_flight.stage.data() + rank * chunks;
    for (std::size_t c = 0; c < n; ++c) {
      kept[c] = stages.kept[static_cast<std::size_t>(stage[c])];
      rest[c] = stages.kept_for_weight[static_cast<std::size_t>(stage[c])];
    }
    double most = 0;
    for (int i = in_flight.first[static_cast<std::size_t>(rank)];
         i < in_flight.first[static_cast<std::size_t>(rank) + 1]; ++i) {
      const InFlight::Instant& instant = in_flight.instants[static_cast<std::size_t>(i)];
      const double* whole_now = in_flight.whole.data() + static_cast<std::ptrdiff_t>(i) * chunks;
      const double* rest_now = in_flight.rest.data() + static_cast<std::ptrdiff_t>(i) * chunks;
      double now = 0;
      for (std::size_t c = 0; c < n; ++c) now += whole_now[c] * kept[c];
      if (in_flight.splits) {
        for (std::size_t c = 0; c < n; ++c) now += rest_now[c] * rest[c];
      }
      if (instant.forward >= 0) now += stages.forward_workspace[static_cast<std::size_t>(stage[instant.forward])];
      const std::vector<double>& back = instant.half ? stages.backward_input_workspace : stages.backward_workspace;
      if (instant.backward >= 0) now += back[static_cast<std::size_t>(stage[instant.backward])];
      most = std::max(most, now);
    }
    bytes[static_cast<std::size_t>(rank)] = most;
  }
}

}  // namespace

void AddUpStages(const plan::Strategy& strategy, const BlockShape& blocks, std::span<const LayerTerms> prices,
                 const StageCut& cut, StageTerms& into) {
  const std::size_t n = cut.stages.size();
  std::vector<double>* const all[] = {&into.forward,
                                      &into.backward,
                                      &into.input,
                                      &into.weight,
                                      &into.forward_compute,
                                      &into.forward_exposed,
                                      &into.backward_compute,
                                      &into.backward_exposed,
                                      &into.kept,
                                      &into.kept_for_weight,
                                      &into.forward_workspace,
                                      &into.backward_workspace,
                                      &into.backward_input_workspace,
                                      &into.parameters};
  for (auto* terms : all) terms->assign(n, 0.0);
  for (std::size_t s = 0; s < n; ++s) {
    const auto like = static_cast<std::size_t>(cut.first[static_cast<std::size_t>(cut.kind[s])]);
    if (like == s) {
      AddUpStage(strategy, blocks, prices, cut.stages[s], s, into);
      continue;
    }
    for (auto* terms : all) (*terms)[s] = (*terms)[like];
  }
  into.forward_before.assign(n, 0.0);
  into.backward_before.assign(n, 0.0);
  for (std::size_t s = 1; s < n; ++s) {
    into.forward_before[s] = into.forward_before[s - 1] + into.forward[s - 1];
    into.backward_before[s] = into.backward_before[s - 1] + into.backward[s - 1];
  }
}

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
  times.message = message;
  times.mode = mode;
  const sim::PipelineEstimate e = sim::EstimatePipeline(shape, times, paths);
  return {shape, message, mode, e.makespan, e.ideal, e.bubble, e.messages, e.late, e.busiest, e.exact};
}

void ActivationBytes(const InFlight& in_flight, const StageTerms& stages, std::span<double> bytes) {
  switch (in_flight.chunks) {
    case 1:
      return ActivationBytes(in_flight, std::integral_constant<int, 1>{}, stages, bytes);
    case 2:
      return ActivationBytes(in_flight, std::integral_constant<int, 2>{}, stages, bytes);
    default:
      return ActivationBytes(in_flight, in_flight.chunks, stages, bytes);
  }
}

int AroundKind(ScheduleKind kind) { return !Drains(kind) ? 2 : kind == ScheduleKind::kInterleaved1f1b ? 1 : 0; }

AroundTerms TermsAround(ScheduleKind kind, const StageTerms& stages, const InFlight& in_flight, const StepTerms& step,
                        const costmodel::Contention& contention) {
  AroundTerms around;
  around.until = UntilBarrier(kind, stages, in_flight, step, contention, around.data);
  double after = 0;
  for (const RankClass& of : step.classes) {
    const double lead = stages.forward_before[static_cast<std::size_t>(of.first_rank)];
    around.barrier = std::max(around.barrier, of.barrier);
    after = std::max(after, of.after - lead);
    around.gather = std::max(around.gather, of.after + of.prologue + of.gather - lead);
  }
  around.data += around.gather - after;
  return around;
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

Estimate EstimateStep(const PipelineTerms& pipeline, const StageTerms& stages, const InFlight& in_flight,
                      const StepTerms& step, const costmodel::Contention& contention, double host) {
  if (step.barrier)
    return EstimateStep(pipeline, TermsAround(pipeline.shape.kind, stages, in_flight, step, contention), host);
  Estimate e;
  e.ideal = pipeline.ideal;
  e.messages = pipeline.messages;
  e.host = host;
  const double period = WithoutBarrier(pipeline, stages, in_flight, step, contention, e.data);
  e.bubble = pipeline.bubble - pipeline.late;
  e.around = period - e.ideal - e.bubble - e.messages - e.data;
  e.step_time = period + host;
  return e;
}

double AddState(std::span<const double> activations, double messages, const StepTerms& step, std::span<double> bytes) {
  const auto of = [&](std::size_t r) {
    bytes[r] = activations[r] + messages + step.classes[step.class_of[r]].state;
    return bytes[r];
  };
  double even = 0, odd = 0;  // two maxima, so that one need not wait for the other
  const std::size_t ranks = step.class_of.size();
  for (std::size_t r = 0; r + 1 < ranks; r += 2) {
    even = std::max(even, of(r));
    odd = std::max(odd, of(r + 1));
  }
  if (ranks % 2 != 0) even = std::max(even, of(ranks - 1));
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
  const BlockShape blocks = ShapeOfBlocks(s);
  const std::vector<LayerTerms> prices = PriceBlocks(blocks, costs);
  const StageCut cut = CutOf(s, blocks.table);
  const InFlight in_flight = InFlightOf(s);
  StageTerms stages;
  AddUpStages(s.strategy, blocks, prices, cut, stages);
  const MessageTerms message = TermsOfMessage(s, costs);
  const plan::ScheduleShape shape = ScheduleShapeOf(s);
  const plan::MessageMode mode = plan::MessageModeOf(s.strategy);
  std::optional<sim::OrderPaths> paths;
  if (sim::HasPaths(shape.kind)) paths = PathFinder().PathsOf(KeyOfPaths(shape, cut, mode));
  ScenarioEstimate answer;
  answer.pipeline = TermsOfPipeline(shape, stages, message.seconds, mode, paths ? &*paths : nullptr);
  std::vector<double> activations(static_cast<std::size_t>(in_flight.ranks));
  answer.bytes.resize(activations.size());
  ActivationBytes(in_flight, stages, activations);
  plan::Plan sample = SampleOf(blocks);
  const StepTerms step = TermsOfStep(s, cut, in_flight, costs, sample);
  answer.estimate =
      EstimateStep(answer.pipeline, stages, in_flight, step, costs.ContentionOf(), costs.HostTimePerStep().value);
  answer.estimate.memory = AddState(activations, plan::MessageBuffers(s).value, step, answer.bytes);
  return answer;
}

}  // namespace isochrone::study
