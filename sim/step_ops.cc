#include "sim/step_ops.h"

#include <algorithm>

#include "base/error.h"

namespace isochrone::sim {

namespace {

using plan::Group;

/// Which ranks an op holds together: none, those with a tied embedding, all.
enum class Span { kOwn, kEmbedding, kPipeline };

Span SpanOf(const plan::Op& op) {
  const auto* collective = std::get_if<plan::Collective>(&op.kind);
  if (collective == nullptr) return Span::kOwn;
  if (collective->group == Group::kEmbedding) return Span::kEmbedding;
  const bool whole =
      collective->group == Group::kPipeline || collective->group == Group::kModel || collective->group == Group::kWorld;
  return whole ? Span::kPipeline : Span::kOwn;
}

class OpsPlayer {
 public:
  OpsPlayer(const StepOps& step, std::vector<double>& time, std::vector<RankUse>& use, plan::Timeline* timeline)
      : step_(step), time_(time), use_(use), timeline_(timeline), at_(time.size(), 0) {}

  void Run() {
    const int ranks = static_cast<int>(time_.size());
    if (step_.barrier && !AnySpansPipeline()) Meet([](int) { return true; });
    for (;;) {
      for (int rank = 0; rank < ranks; ++rank)
        while (!Done(rank) && !Waits(rank)) Play(rank);
      const auto held = [&](Span span) {
        return [this, span](int rank) { return !Done(rank) && SpanOf(Next(rank)) == span; };
      };
      const bool embedding = Some(held(Span::kEmbedding));
      const auto together = held(embedding ? Span::kEmbedding : Span::kPipeline);
      if (!Some(together)) return;
      Meet(together);
      for (int rank = 0; rank < ranks; ++rank)
        if (together(rank)) Play(rank);
    }
  }

 private:
  bool Done(int rank) const { return at_[rank] == step_.ops[rank].size(); }
  const plan::Op& Next(int rank) const { return step_.ops[rank][at_[rank]]; }
  bool Waits(int rank) const {
    const Span span = SpanOf(Next(rank));
    return span == Span::kEmbedding || (span == Span::kPipeline && step_.barrier);
  }
  template <class Which>
  bool Some(Which which) const {
    for (int rank = 0; rank < static_cast<int>(time_.size()); ++rank)
      if (which(rank)) return true;
    return false;
  }
  bool AnySpansPipeline() const {
    for (const auto& ops : step_.ops)
      for (const auto& op : ops)
        if (SpanOf(op) == Span::kPipeline) return true;
    return false;
  }

  template <class Which>
  void Meet(Which which) {
    double latest = 0;
    for (std::size_t rank = 0; rank < time_.size(); ++rank)
      if (which(static_cast<int>(rank))) latest = std::max(latest, time_[rank]);
    for (std::size_t rank = 0; rank < time_.size(); ++rank) {
      if (!which(static_cast<int>(rank))) continue;
      use_[rank].barrier += latest - time_[rank];
      time_[rank] = latest;
    }
  }

  void Play(int rank) {
    const double seconds = step_.seconds[rank][at_[rank]];
    const plan::Op& op = Next(rank);
    (step_.kind == plan::SpanKind::kPrologue ? use_[rank].prologue : use_[rank].epilogue) += seconds;
    if (timeline_ != nullptr) {
      timeline_->spans.push_back({time_[rank],
                                  time_[rank] + seconds,
                                  rank,
                                  step_.kind,
                                  op.stream,
                                  {},
                                  static_cast<int>(timeline_->names.size())});
      timeline_->names.push_back(op.name);
    }
    time_[rank] += seconds;
    ++at_[rank];
  }

  const StepOps& step_;
  std::vector<double>& time_;
  std::vector<RankUse>& use_;
  plan::Timeline* timeline_;
  std::vector<std::size_t> at_;  // [rank] next op
};

}  // namespace

void PlayOps(const StepOps& step, std::vector<double>& time, std::vector<RankUse>& use, plan::Timeline* timeline) {
  if (step.ops.empty()) return;
  ISO_CHECK(step.ops.size() == time.size() && step.seconds.size() == time.size());
  OpsPlayer(step, time, use, timeline).Run();
}

}  // namespace isochrone::sim
