// Zero-bubble orders found from the times of the passes and of a message, under a limit of activations: p microbatches
// (zb_1p) or 2 p (zb_2p), of which StageCosts::weight_share stays after the input half of a backward pass. Several
// greedy orders are built, the handcrafted one beside them, and the one with the shortest span is taken. Source  Qi et
// al., "Zero Bubble Pipeline Parallelism", arXiv 2401.10241, section 3.1 (the heuristic).
#include <algorithm>
#include <limits>

#include "plan/schedules/family.h"

namespace isochrone::plan::schedules {

namespace {

void Check(const ScheduleShape& shape) { RequireChunks(shape, 1, "give 1 chunk a rank, or take zb_v with 2"); }

/// The choices that the heuristic leaves open; all are tried.
struct Choices {
  bool delay_first_backward;  // the last warm-up forward pass may make the first backward pass wait
  bool hold_forward;          // a rank that is two forward passes ahead may let its next one wait
  bool always_fill;           // a weight pass goes into a gap that is shorter than it
};

class GreedyOrder {
 public:
  GreedyOrder(const ScheduleShape& shape, const StageCosts& costs, int cap, Choices choices)
      : p_(shape.ranks),
        m_(shape.microbatches),
        cap_(cap),
        forward_(costs.forward.value),
        input_(costs.backward_input.value),
        weight_(costs.backward_weight.value),
        message_(costs.message.value),
        weight_share_(costs.weight_share),
        choices_(choices),
        ranks_(p_),
        forward_end_(static_cast<std::size_t>(p_) * m_),
        input_end_(forward_end_.size()) {
    for (auto& rank : ranks_) rank.order.reserve(3 * m_);
  }

  void Run() {
    WarmUp();
    for (int round = 1; round < m_; ++round) {
      ForwardRound();
      for (int rank = p_ - 1; rank >= 0; --rank) {
        FillBefore(rank, rank + 1 < p_ ? input_end_[Cell(rank + 1, round)] + message_ : 0);
        if (rank == 0 && ranks_[0].forwards == m_)
          while (Pending(0) > 0) Weight(0);
        Input(rank);
      }
    }
    for (int rank = 0; rank < p_; ++rank)
      while (Pending(rank) > 0) Weight(rank);
  }

  /// Runs a given order in place of its own.
  void Follow(const std::vector<std::vector<Task>>& order) {
    std::vector<std::size_t> position(p_, 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (int rank = 0; rank < p_; ++rank) {
        for (; position[rank] < order[rank].size() && CanRun(rank, order[rank][position[rank]].phase); moved = true) {
          const Phase phase = order[rank][position[rank]++].phase;
          if (phase == Phase::kForward) Forward(rank);
          else if (phase == Phase::kBackwardInput) Input(rank);
          else Weight(rank);
        }
      }
    }
  }

  double Span() const {
    double span = 0;
    for (const Rank& rank : ranks_) span = std::max(span, rank.now - rank.begin);
    return span;
  }
  std::vector<std::vector<Task>> TakeOrder() {
    std::vector<std::vector<Task>> order;
    for (Rank& rank : ranks_) order.push_back(std::move(rank.order));
    return order;
  }

 private:
  struct Rank {
    int forwards = 0, inputs = 0, weights = 0;
    double now = 0, begin = 0, bubble = 0;
    std::vector<Task> order;
  };

  std::size_t Cell(int rank, int microbatch) const { return static_cast<std::size_t>(rank) * m_ + microbatch; }
  /// Activations alive, in whole ones.
  double Alive(int rank) const {
    const Rank& state = ranks_[rank];
    return state.forwards - state.inputs + weight_share_ * (state.inputs - state.weights);
  }
  /// Whether the input of the rank's next pass of this phase is known.
  bool CanRun(int rank, Phase phase) const {
    if (phase == Phase::kForward) return rank == 0 || ranks_[rank - 1].forwards > ranks_[rank].forwards;
    return phase == Phase::kBackwardWeight || rank + 1 == p_ || ranks_[rank + 1].inputs > ranks_[rank].inputs;
  }
  bool Full(int rank) const { return Alive(rank) + 1 > cap_; }
  int Pending(int rank) const { return ranks_[rank].inputs - ranks_[rank].weights; }

  void Append(int rank, Phase phase, int microbatch, double ready, double work) {
    Rank& state = ranks_[rank];
    if (state.order.empty()) state.begin = ready;
    else state.bubble += std::max(0.0, ready - state.now);
    state.now = std::max(state.now, ready) + work;
    state.order.push_back(MakeTask(phase, microbatch));
  }
  void Forward(int rank) {
    const int i = ranks_[rank].forwards++;
    Append(rank, Phase::kForward, i, rank > 0 ? forward_end_[Cell(rank - 1, i)] + message_ : 0, forward_);
    forward_end_[Cell(rank, i)] = ranks_[rank].now;
  }
  void Input(int rank) {
    const int i = ranks_[rank].inputs++;
    Append(rank, Phase::kBackwardInput, i, rank + 1 < p_ ? input_end_[Cell(rank + 1, i)] + message_ : 0, input_);
    input_end_[Cell(rank, i)] = ranks_[rank].now;
  }
  void Weight(int rank) { Append(rank, Phase::kBackwardWeight, ranks_[rank].weights++, 0, weight_); }

  /// As many forward passes as fit before the first backward pass, fewer on each next rank unless all run before it.
  void WarmUp() {
    for (int rank = 0; rank < p_; ++rank) Forward(rank);
    std::vector<int> more(p_, 0);
    double first_input = ranks_[p_ - 1].now + input_;  // end of it on the rank behind
    for (int rank = p_ - 2; rank >= 0; --rank) {
      double now = ranks_[rank].now;
      const double arrives = first_input + message_;
      while (more[rank] + 1 < std::min(m_, cap_) &&
             (choices_.delay_first_backward ? now < arrives : now + forward_ <= arrives)) {
        now += forward_;
        ++more[rank];
      }
      first_input = std::max(now, arrives) + input_;
    }
    for (int rank = 1; rank < p_; ++rank) {
      const bool all = more[rank - 1] + 1 == m_;
      more[rank] = std::min(more[rank], all ? more[rank - 1] : std::max(0, more[rank - 1] - 1));
    }
    for (int rank = 0; rank < p_; ++rank)
      for (int i = 0; i < more[rank]; ++i) Forward(rank);
    for (int rank = p_ - 1; rank >= 0; --rank) Input(rank);
  }

  double WorstBubble() const {
    double worst = 0;
    for (const Rank& rank : ranks_) worst = std::max(worst, rank.bubble);
    return worst;
  }

  /// Weight passes before something that is ready at `ready`: all that fit, and one more where the gap that it would
  /// leave makes this rank the one with most bubble.
  void FillBefore(int rank, double ready) {
    Rank& state = ranks_[rank];
    while (Pending(rank) > 0 && state.now + weight_ <= ready) Weight(rank);
    if (Pending(rank) == 0 || state.now >= ready) return;
    if (choices_.always_fill || state.bubble + ready - state.now > WorstBubble()) Weight(rank);
  }

  /// Whether the rank's next forward pass can wait a round: the next rank has work, and runs its backward pass before
  /// it would need this one's output.
  bool MayHold(int rank) const {
    if (!choices_.hold_forward || rank + 1 >= p_) return false;
    const Rank &state = ranks_[rank], &next = ranks_[rank + 1];
    if (state.forwards < next.forwards + 2) return false;
    const double gradient = next.now + forward_ + input_ + message_;
    const bool recycles = Full(rank);
    if (state.now >= gradient) return true;
    if (state.now + forward_ + (recycles ? weight_ : 0) <= gradient) return false;
    return gradient - state.now <= WorstBubble() - state.bubble;
  }

  void ForwardRound() {
    std::vector<char> runs(p_);
    for (int rank = 0; rank < p_; ++rank) runs[rank] = ranks_[rank].forwards < m_ && !MayHold(rank);
    for (int rank = p_ - 2; rank >= 0; --rank) {
      if (ranks_[rank + 1].forwards < m_) runs[rank] = runs[rank] && runs[rank + 1];
    }
    for (int rank = 0; rank < p_; ++rank) {
      if (!runs[rank] || (rank > 0 && ranks_[rank - 1].forwards <= ranks_[rank].forwards)) continue;
      while (Full(rank) && Pending(rank) > 0) Weight(rank);
      if (Full(rank)) continue;
      FillBefore(rank, rank > 0 ? forward_end_[Cell(rank - 1, ranks_[rank].forwards)] + message_ : 0);
      Forward(rank);
    }
  }

  int p_, m_, cap_;
  double forward_, input_, weight_, message_, weight_share_;
  Choices choices_;
  std::vector<Rank> ranks_;
  std::vector<double> forward_end_, input_end_;  // [rank · microbatches + microbatch]
};

Schedule BuildWithin(const ScheduleShape& shape, const StageCosts& costs, const Family& handcrafted, int cap) {
  Schedule schedule{shape.kind, shape.microbatches, LoopPlacement(shape.ranks, 1), {}};
  double best = std::numeric_limits<double>::infinity();
  const auto take_if_shorter = [&](GreedyOrder& order) {
    if (order.Span() >= best) return;
    best = order.Span();
    schedule.order = order.TakeOrder();
  };
  for (int bits = 0; bits < 8; ++bits) {
    GreedyOrder greedy(shape, costs, cap, {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0});
    greedy.Run();
    take_if_shorter(greedy);
  }
  GreedyOrder given(shape, costs, cap, {});
  given.Follow(handcrafted.build(shape, costs).order);
  take_if_shorter(given);
  return schedule;
}

Schedule Build1p(const ScheduleShape& shape, const StageCosts& costs) {
  return BuildWithin(shape, costs, kZbH1Family, shape.ranks);
}
Schedule Build2p(const ScheduleShape& shape, const StageCosts& costs) {
  return BuildWithin(shape, costs, kZbH2Family, 2 * shape.ranks);
}

/// There is no closed form; the bounds hold by construction. The span is at most the handcrafted order's, which is one
/// of those compared; no rank begins later than the last one, after p − 1 forward passes, so
///
///   makespan ≤ span + (p − 1) F
///
/// The peak is the limit.
ScheduleTheory TheoryWithin(const ScheduleShape& shape, const StageCosts& costs, const Family& handcrafted, int cap) {
  ScheduleTheory theory = handcrafted.theory(shape, costs);
  theory.exact = false;
  theory.makespan = theory.span + (shape.ranks - 1) * costs.forward;
  theory.peak_activations = std::min(cap, shape.microbatches);
  return theory;
}

ScheduleTheory Theory1p(const ScheduleShape& shape, const StageCosts& costs) {
  return TheoryWithin(shape, costs, kZbH1Family, shape.ranks);
}
ScheduleTheory Theory2p(const ScheduleShape& shape, const StageCosts& costs) {
  return TheoryWithin(shape, costs, kZbH2Family, 2 * shape.ranks);
}

}  // namespace

const Family kZbAuto1pFamily{ScheduleKind::kZbAuto1p, "zb_1p", Check, Build1p, Theory1p};
const Family kZbAuto2pFamily{ScheduleKind::kZbAuto2p, "zb_2p", Check, Build2p, Theory2p};

}  // namespace isochrone::plan::schedules
