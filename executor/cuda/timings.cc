#include "executor/cuda/timings.h"

#include <algorithm>
#include <array>

namespace isochrone::executor::cuda {
namespace {

/// Streams in the order in which an instant counts for them.
constexpr std::array<plan::Stream, plan::kStreams> kOrder = {
    plan::Stream::kCompute, plan::Stream::kTensor,   plan::Stream::kContext, plan::Stream::kExpert,
    plan::Stream::kData,    plan::Stream::kPipeline, plan::Stream::kCopy};

Seconds& PartOf(plan::Attribution& a, const Busy& b) {
  switch (b.stream) {
    case plan::Stream::kCompute:
      return b.optimizer ? a.optimizer : b.recompute ? a.recompute : a.compute;
    case plan::Stream::kTensor:
      return a.tensor;
    case plan::Stream::kContext:
      return a.context;
    case plan::Stream::kExpert:
      return a.expert;
    case plan::Stream::kPipeline:
      return a.pipeline;
    case plan::Stream::kData:
      return a.data;
    case plan::Stream::kCopy:
      break;
  }
  return a.copy;
}

}  // namespace

plan::Attribution AttributionOf(const std::vector<Busy>& busy, double seconds) {
  std::vector<double> cuts = {0, seconds};
  std::array<std::vector<const Busy*>, plan::kStreams> of;
  for (const Busy& b : busy) {
    cuts.push_back(std::clamp(b.begin, 0.0, seconds));
    cuts.push_back(std::clamp(b.end, 0.0, seconds));
    of[static_cast<std::size_t>(b.stream)].push_back(&b);
  }
  std::sort(cuts.begin(), cuts.end());
  for (auto& list : of)
    std::sort(list.begin(), list.end(), [](const Busy* a, const Busy* b) { return a->begin < b->begin; });
  std::array<std::size_t, plan::kStreams> next{};
  plan::Attribution a;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    const double from = cuts[i], to = cuts[i + 1];
    const Busy* chosen = nullptr;
    for (const plan::Stream stream : kOrder) {
      const auto s = static_cast<std::size_t>(stream);
      while (next[s] < of[s].size() && of[s][next[s]]->end <= from) ++next[s];
      if (chosen == nullptr && next[s] < of[s].size() && of[s][next[s]]->begin <= from) chosen = of[s][next[s]];
    }
    (chosen != nullptr ? PartOf(a, *chosen) : a.bubble) += isochrone::Seconds(to - from);
  }
  return a;
}

Timings::Timings(const plan::Plan& plan, Calls& calls) : calls_(calls), start_(calls.NewEvent()) {
  for (const plan::LayerProgram& program : plan.programs) {
    auto& seconds = times.seconds.emplace_back();
    for (std::size_t phase = 0; phase < plan::kPhases; ++phase) seconds[phase].resize(program.ops[phase].size());
  }
  times.count = times.seconds;
}

Timings::~Timings() {
  for (const Interval& i : intervals_) spare_.insert(spare_.end(), {i.begin, i.end});
  for (const Event e : spare_) calls_.DestroyEvent(e);
  calls_.DestroyEvent(start_);
}

void Timings::StartStep(Stream compute) { calls_.Record(start_, compute); }

std::size_t Timings::Begin(const What& what, Stream stream) {
  while (spare_.size() < 2) spare_.push_back(calls_.NewEvent());
  intervals_.push_back({what, spare_.back(), spare_[spare_.size() - 2]});
  spare_.resize(spare_.size() - 2);
  calls_.Record(intervals_.back().begin, stream);
  return intervals_.size() - 1;
}

void Timings::End(std::size_t interval, Stream stream) { calls_.Record(intervals_[interval].end, stream); }

void Timings::Read(int rank, StepRecord& record) {
  std::vector<Busy> busy;
  for (const Interval& i : intervals_) {
    const What& w = i.what;
    const double begin = calls_.Seconds(start_, i.begin), end = calls_.Seconds(start_, i.end);
    if (w.kind == What::Kind::kOp) {
      const auto program = static_cast<std::size_t>(w.program), op = static_cast<std::size_t>(w.op);
      times.seconds[program][static_cast<std::size_t>(w.phase)][op] += end - begin;
      times.count[program][static_cast<std::size_t>(w.phase)][op] += w.counts ? 1 : 0;
    }
    if (w.kind != What::Kind::kTask)
      busy.push_back({begin, end, w.stream, w.phase == plan::Phase::kRecompute, w.kind == What::Kind::kStepOp});
    if (w.kind == What::Kind::kOp) continue;
    plan::Span span{.start = record.start + begin,
                    .end = record.start + end,
                    .rank = rank,
                    .kind = w.kind == What::Kind::kTask      ? plan::SpanKind::kTask
                            : w.kind == What::Kind::kMessage ? plan::SpanKind::kMessage
                                                             : plan::SpanKind::kEpilogue,
                    .stream = w.stream,
                    .task = w.task};
    if (w.kind == What::Kind::kStepOp) {
      auto& [seconds, count] = times.step_ops[w.name];
      seconds += end - begin;
      count += w.counts ? 1 : 0;
      const auto it = std::find(names.begin(), names.end(), w.name);
      span.name = static_cast<int>(it - names.begin());
      if (it == names.end()) names.push_back(w.name);
    }
    record.spans.push_back(span);
  }
  record.attribution = AttributionOf(busy, record.end - record.start);
  for (const Interval& i : intervals_) spare_.insert(spare_.end(), {i.begin, i.end});
  intervals_.clear();
}

}  // namespace isochrone::executor::cuda
