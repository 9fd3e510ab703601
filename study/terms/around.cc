#include "study/terms/around.h"

#include <algorithm>
#include <cmath>

namespace isochrone::study {
namespace {

using plan::ScheduleKind;

/// The data stream of one rank beside its compute: buckets queue, and both are slower while both run.
class DataQueue {
 public:
  explicit DataQueue(const costmodel::Slowdowns& beside_data) : slowdowns_(beside_data) {}

  void Add(double seconds) { left_ += seconds; }
  void Compute(double work) { Compute(1, work, 0); }

  /// `n` times: `work` seconds of compute, and then a bucket of `reduce` seconds. While the queue outlasts the work,
  /// all steps are alike; so are those that begin with the same short queue.
  void Compute(int n, double work, double reduce) {
    const double slowed = work * slowdowns_.compute, drains = slowed / slowdowns_.communication;
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
        const double drained = left_ * slowdowns_.communication;  // time until the queue is empty
        now_ += alike * (drained + (work - drained / slowdowns_.compute));
        left_ = reduce;
      }
      n -= alike;
    }
  }
  double Slower() const { return now_ - work_; }
  double Left() const { return left_; }

 private:
  const costmodel::Slowdowns& slowdowns_;
  double now_ = 0, work_ = 0, left_ = 0;
};

/// What gradient buckets do to a rank: `slower` is all its compute takes longer, of which `serial` holds up the ranks
/// that wait for its last passes one after another; `left` holds up only itself.
struct Side {
  double serial = 0, slower = 0, left = 0;
};

Side SideOf(const StepTerms& step, std::size_t c, ScheduleKind kind, const StageTerms& stages,
            const costmodel::Slowdowns& beside_data) {
  if (!step.beside) return {};
  const Buckets* buckets = step.buckets.data() + c * static_cast<std::size_t>(step.chunks);
  const std::vector<double>& pass = SplitsBackward(kind) ? stages.weight : stages.backward;
  const auto seconds = [&](int chunk) { return pass[static_cast<std::size_t>(buckets[chunk].kind)]; };
  const bool in_groups = kind == ScheduleKind::kInterleaved1f1b;
  DataQueue queue(beside_data);
  double serial = 0;
  for (int chunk = step.chunks - 1; chunk >= 0; --chunk) {
    const Buckets& of = buckets[chunk];
    if (of.count == 0) continue;
    const double before = queue.Slower();
    queue.Compute(of.count, seconds(chunk) / of.count, of.reduce);
    double longest = queue.Slower() - before;
    // The last group of microbatches passes the chunk below before that one's last pass.
    if (in_groups && chunk > 0) {
      const double last = queue.Slower();
      queue.Compute(seconds(chunk - 1));
      longest = std::max(longest, queue.Slower() - last);
      queue.Compute((step.ranks - 2) * seconds(chunk - 1));
    }
    serial += longest;
  }
  queue.Add(step.classes[c].reduce_late);
  return {serial, queue.Slower(), queue.Left()};
}

/// How much later passes end for the buckets beside them, from the last rank to the first. Where a pipeline drains, a
/// pass waits for the rank after its own, and for the pass before it on its own rank: of the grid of ranks and slower
/// passes the longest way down and across goes down where passes are longest, and across once.
class Chain {
 public:
  explicit Chain(bool drains) : drains_(drains) {}

  /// Takes in `ranks` ranks of this side; returns by how much later they end.
  double Add(const Side& side, int ranks) {
    down_ = drains_ ? down_ + side.serial * ranks : std::max(down_, side.slower);
    if (drains_) across_ = std::max(across_, side.slower - side.serial);
    return down_ + across_;
  }

 private:
  bool drains_;
  double down_ = 0, across_ = 0;
};

double FirstForward(const StepTerms& step, std::size_t c, const StageTerms& stages) {
  const Buckets& first = step.buckets[c * static_cast<std::size_t>(step.chunks)];
  return stages.forward[static_cast<std::size_t>(first.kind)];
}

/// By how much the first forward pass of a rank is longer for the buckets of parameters that arrive beside it. Each of
/// its n pieces waits for its bucket of g seconds, and is slower while any is on its way, G seconds in all:
///
///   (n − 1) g + slowdown F / n − F            where a bucket takes longer than a piece
///   min((G − g) (1 − 1 / slowdown), (slowdown − 1) F)     else
///
/// lead  how long buckets have been arriving before it begins
double SlowerForward(const RankClass& of, double forward, double lead, const costmodel::Slowdowns& beside_data) {
  const double slow = beside_data.compute, rest = of.gathers - of.gather - lead;
  if (of.gather_count == 0 || rest <= 0) return 0;
  const double pieces = of.gather_count, piece = slow * forward / pieces;
  const double waits = (pieces - 1) * of.gather - lead + piece - forward;
  return std::max(waits, std::min(rest * (1 - 1 / slow), (slow - 1) * forward));
}

bool Drains(ScheduleKind kind) {
  return kind == ScheduleKind::kGpipe || kind == ScheduleKind::k1f1b || kind == ScheduleKind::kInterleaved1f1b;
}

/// From the end of the pipeline's last task to the gradient norm's barrier.
double UntilBarrier(ScheduleKind kind, const StageTerms& stages, const StepTerms& step,
                    const costmodel::Slowdowns& beside_data, double& beside) {
  double tied_ready = 0, tied = 0, latest = 0, plain = 0;
  const bool drains = Drains(kind);
  Chain chain(drains);
  // From the last class to the first: a slower last pass holds up every rank before it.
  const auto ready = [&](std::size_t c) {
    const RankClass& of = step.classes[c];
    const Side side = SideOf(step, c, kind, stages, beside_data);
    const double later = chain.Add(side, of.ranks);
    const double lag = drains ? stages.backward_before[static_cast<std::size_t>(of.first_rank)] : 0;
    plain = std::max(plain, of.to_tied + of.to_barrier - lag);
    return later + side.left + of.to_tied - lag;
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

}  // namespace

int AroundKind(ScheduleKind kind) { return !Drains(kind) ? 2 : kind == ScheduleKind::kInterleaved1f1b ? 1 : 0; }

AroundTerms TermsAround(ScheduleKind kind, const StageTerms& stages, const StepTerms& step,
                        const costmodel::Slowdowns& beside_data) {
  AroundTerms around;
  around.until = UntilBarrier(kind, stages, step, beside_data, around.data);
  double after = 0;
  for (std::size_t c = 0; c < step.classes.size(); ++c) {
    const RankClass& of = step.classes[c];
    const double lead = stages.forward_before[static_cast<std::size_t>(of.first_rank)];
    around.barrier = std::max(around.barrier, of.barrier);
    after = std::max(after, of.after - lead);
    const double slower = SlowerForward(of, FirstForward(step, c, stages), lead, beside_data);
    around.gather = std::max(around.gather, of.after + of.prologue + of.gather + slower - lead);
  }
  around.data += around.gather - after;
  return around;
}

Period PeriodWithoutBarrier(ScheduleKind kind, double makespan, double late, const StageTerms& stages,
                            const StepTerms& step, const costmodel::Slowdowns& beside_data) {
  const bool drains = Drains(kind);
  Period longest;
  Chain chain(drains);
  for (std::size_t c = step.classes.size(); c-- > 0;) {
    const RankClass& of = step.classes[c];
    const Side side = SideOf(step, c, kind, stages, beside_data);
    const double later = chain.Add(side, of.ranks);
    const auto first = static_cast<std::size_t>(of.first_rank);
    const double shifted = drains ? stages.backward_before[first] + stages.forward_before[first] : late;
    const double epilogue = of.to_tied + of.tied + of.to_barrier + of.barrier + of.after;
    const double slower =
        SlowerForward(of, FirstForward(step, c, stages), drains ? stages.forward_before[first] : 0, beside_data);
    const double gather = of.gather + slower;
    const double period = makespan - shifted + later + side.left + epilogue + of.prologue + gather;
    if (period > longest.seconds) longest = {period, later + side.left + gather};
  }
  return longest;
}

}  // namespace isochrone::study
