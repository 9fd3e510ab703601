#include "study/search/sweep.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "costmodel/gemm.h"
#include "study/search/evaluator.h"
#include "study/search/legal.h"

namespace isochrone::study {
namespace {

/// A base's axes by level, and how many combinations each level has.
struct Walk {
  const plan::Scenario* base = nullptr;
  const std::vector<Axis>* axes = nullptr;
  std::size_t pipeline = 0, layout_end = 0, step = 0;      // first axis of that part
  std::int64_t units = 1, per_unit = 1, combinations = 1;  // block axes; all others; step axes
  std::int64_t first_index = 0, first_unit = 0;
};

bool StateFollows(const std::string& key) {  // false: state and gradients are the same for all values
  return key != "microbatch" && key != "recompute" && key != "attention" && key != "overlap_tensor";
}

std::vector<Walk> WalksOf(const Space& space) {
  std::vector<Walk> walks;
  std::int64_t index = 0, unit = 0;
  for (std::size_t b = 0; b < space.bases.size(); ++b) {
    Walk w;
    w.base = &space.bases[b];
    w.axes = &space.axes[b];
    const auto of = [&](Level level) {
      return static_cast<std::size_t>(
          std::find_if(w.axes->begin(), w.axes->end(), [&](const Axis& a) { return a.level >= level; }) -
          w.axes->begin());
    };
    w.pipeline = of(Level::kPipeline);
    w.step = of(Level::kStep);
    w.layout_end = w.pipeline;
    while (w.layout_end < w.step) {
      const std::string& key = (*w.axes)[w.layout_end].key;
      if (key != "pipeline" && key != "data" && key != "rank_order") break;
      ++w.layout_end;
    }
    for (std::size_t a = w.step; a < w.axes->size(); ++a)
      w.combinations *= static_cast<std::int64_t>((*w.axes)[a].values.size());
    for (std::size_t a = 0; a < w.axes->size(); ++a)
      (a < w.pipeline ? w.units : w.per_unit) *= static_cast<std::int64_t>((*w.axes)[a].values.size());
    w.first_index = index;
    w.first_unit = unit;
    index += w.units * w.per_unit;
    unit += w.units;
    walks.push_back(w);
  }
  return walks;
}

/// What one thread finds.
struct Found {
  std::int64_t legal = 0, pruned = 0, priced = 0, out_of_memory = 0;
  std::vector<Candidate> best, pareto;
};

class Worker {
 public:
  Worker(const Space& space, const SweepOptions& options, SharedTerms& shared, std::atomic<double>& threshold)
      : space_(space), options_(options), threshold_(threshold), evaluator_(shared) {}

  Found found;
  std::vector<Candidate> unit_rows;

  /// Prices a unit; `hopeless`: only counts it.
  void Run(const Walk& walk, std::int64_t unit, bool hopeless) {
    unit_rows.clear();
    if (!Enter(walk, unit)) return;
    if (!hopeless) evaluator_.EnterBlock(PrefixOf(walk, unit));
    Layouts(walk.pipeline, walk.first_index + unit * walk.per_unit, walk.per_unit,
            [&](std::int64_t index, std::int64_t span) {
              if (!hopeless) evaluator_.EnterLayout(scenario_);
              counting_ = hopeless || (options_.prune && NoneHopes());
              Pipelines(walk_->layout_end, index, span);
            });
  }

  /// No configuration of a unit has a lower score: the least of its layouts, from compute alone.
  double LeastScore(const Walk& walk, std::int64_t unit) {
    double least = std::numeric_limits<double>::infinity();
    if (!Enter(walk, unit)) return least;
    evaluator_.EnterBlock(PrefixOf(walk, unit));
    Layouts(walk.pipeline, 0, walk.per_unit, [&](std::int64_t, std::int64_t) {
      evaluator_.EnterLayout(scenario_);
      EachStep(walk.step, 0, walk.combinations, [&](int) {
        if (!TooLarge(evaluator_.LeastMemory(scenario_)))
          least = std::min(least, Score(evaluator_.LeastComputeTime(scenario_)));
      });
    });
    return least;
  }

 private:
  /// Names the values of the block axes that state and gradients depend on.
  std::int64_t PrefixOf(const Walk& walk, std::int64_t unit) {
    std::int64_t prefix = 0, radix = 1;
    for (std::size_t a = walk.pipeline; a-- > 0;) {
      const auto n = static_cast<std::int64_t>((*walk.axes)[a].values.size());
      if (StateFollows((*walk.axes)[a].key)) prefix += radix * (unit % n), radix *= n;
      unit /= n;
    }
    return walk.first_unit + prefix;
  }

  template <class Body>
  void Each(std::size_t axis, std::int64_t index, std::int64_t span, const Body& body) {
    const Axis& a = (*walk_->axes)[axis];
    const std::int64_t each = span / static_cast<std::int64_t>(a.values.size());
    for (std::size_t v = 0; v < a.values.size(); ++v) {
      a.set(v, scenario_);
      body(index + static_cast<std::int64_t>(v) * each, each);
    }
  }

  /// Sets the block axes; false where they are illegal or repeat others.
  bool Enter(const Walk& walk, std::int64_t unit) {
    if (walk_ != &walk) evaluator_.EnterModel();
    walk_ = &walk;
    scenario_ = *walk.base;
    for (std::size_t a = walk.pipeline; a-- > 0;) {
      const auto n = static_cast<std::int64_t>((*walk.axes)[a].values.size());
      (*walk.axes)[a].set(static_cast<std::size_t>(unit % n), scenario_);
      unit /= n;
    }
    sequences_ = scenario_.batch.sequences;
    return !RepeatsBlock(scenario_.strategy, walk.base->strategy) && LegalBlock(scenario_);
  }

  /// Visits the legal layouts of a block.
  template <class Visit>
  void Layouts(std::size_t axis, std::int64_t index, std::int64_t span, const Visit& visit) {
    if (axis < walk_->layout_end) {
      Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { Layouts(axis + 1, i, s, visit); });
      return;
    }
    scenario_.batch.sequences = sequences_;
    if (Complete(space_, scenario_) && LegalLayout(space_, scenario_)) visit(index, span);
  }

  /// Visits the legal combinations of step axes of a layout.
  template <class Visit>
  void EachStep(std::size_t axis, std::int64_t index, std::int64_t span, const Visit& visit) {
    if (axis < walk_->axes->size()) {
      Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { EachStep(axis + 1, i, s, visit); });
      return;
    }
    if (LegalStep(scenario_)) visit(static_cast<int>(index));
  }

  /// No sharding of this layout may be among the best.
  bool NoneHopes() {
    bool none = true;
    EachStep(walk_->step, 0, walk_->combinations, [&](int combination) {
      if (!none || Hopeless(evaluator_.LeastComputeTime(scenario_)) || TooLarge(evaluator_.LeastMemory(scenario_)))
        return;
      evaluator_.EnterStep(scenario_, combination);
      none = Hopeless(evaluator_.LeastStepTime(scenario_));
    });
    return none;
  }

  double Score(double time) const { return ScoreOf(space_, scenario_, time, evaluator_.ModelFlops(scenario_)); }
  bool Hopeless(double least_time) const { return Score(least_time) > threshold_.load(std::memory_order_relaxed); }
  bool TooLarge(double bytes) const { return space_.constraints.fits && bytes > Capacity(); }

  double Capacity() const {
    const double gpu = scenario_.cluster.node.gpu.memory.value, limit = space_.constraints.memory_bytes;
    return limit > 0 ? std::min(limit, gpu) : gpu;
  }

  void Pipelines(std::size_t axis, std::int64_t index, std::int64_t span) {
    if (axis < walk_->step) {
      Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { Pipelines(axis + 1, i, s); });
      return;
    }
    const plan::Strategy& base = walk_->base->strategy;
    if (!LegalPipeline(scenario_) || RepeatsPipeline(scenario_.strategy, base)) return;
    if (!(counting_ ? evaluator_.Accepts(scenario_) : evaluator_.EnterPipeline(scenario_))) return;
    Steps(axis, index, span);
  }

  void Steps(std::size_t axis, std::int64_t index, std::int64_t span) {
    if (axis < walk_->axes->size()) {
      Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { Steps(axis + 1, i, s); });
      return;
    }
    if (!LegalStep(scenario_) || RepeatsStep(scenario_.strategy, walk_->base->strategy)) return;
    ++found.legal;
    if (counting_ || !Hopes(static_cast<int>(index % walk_->combinations))) ++found.pruned;
    else Price(index);
  }

  /// Leaves the evaluator where Price goes on.
  bool Hopes(int combination) {
    evaluator_.EnterStep(scenario_, combination);
    if (options_.prune &&
        (Hopeless(evaluator_.LeastStepTime(scenario_)) || TooLarge(evaluator_.LeastMemory(scenario_)) ||
         Hopeless(evaluator_.LeastPipelineTime(scenario_)) || TooLarge(evaluator_.LeastPipelineMemory(scenario_))))
      return false;
    memory_ = evaluator_.Memory(scenario_);
    return !options_.prune || !TooLarge(memory_);
  }

  void Price(std::int64_t index) {
    ++found.priced;
    const Estimate e = evaluator_.Evaluate();
    const plan::Strategy& s = scenario_.strategy;
    Candidate c;
    c.index = index;
    c.estimate = e;
    c.sequences = scenario_.batch.sequences;
    c.gpus = s.tensor * s.context * s.data * s.pipeline;
    c.model_flops = evaluator_.ModelFlops(scenario_);
    c.score = Score(e.step_time);
    c.fits = memory_ <= Capacity();
    if (options_.each) unit_rows.push_back(c);
    if (!c.fits) ++found.out_of_memory;
    if (space_.constraints.fits && !c.fits) return;
    if (static_cast<int>(found.best.size()) < space_.best || c < found.best.back()) {
      KeepBest(c, space_.best, found.best);
      if (static_cast<int>(found.best.size()) == space_.best) Lower(found.best.back().score);
    }
    if (!options_.prune) KeepPareto(c, found.pareto);
  }

  void Lower(double score) {
    double now = threshold_.load(std::memory_order_relaxed);
    while (score < now && !threshold_.compare_exchange_weak(now, score)) {
    }
  }

  const Space& space_;
  const SweepOptions& options_;
  std::atomic<double>& threshold_;
  Evaluator evaluator_;
  const Walk* walk_ = nullptr;
  plan::Scenario scenario_;
  std::int64_t sequences_ = 0;
  double memory_ = 0;
  bool counting_ = false;
};

/// Hands out units and takes their rows back in order.
class Desk {
 public:
  Desk(const Space& space, const SweepOptions& options)
      : space_(space), options_(options), walks_(WalksOf(space)), threshold_(std::numeric_limits<double>::infinity()) {
    units_ = walks_.back().first_unit + walks_.back().units;
    next_ = options.first_unit;
    while (next_ % options.shards != options.shard - 1) ++next_;
    due_ = next_;
    if (options.prune) {
      for (std::int64_t unit = next_; unit < units_; unit += options.shards) promising_.push_back({0, unit});
    }
  }

  void Work() try {
    Worker worker(space_, options_, shared_, threshold_);
    RankUnits(worker);
    for (Unit unit = Take(); unit.at >= 0; unit = Take()) {
      const Walk& walk = WalkOf(unit.at);
      worker.Run(walk, unit.at - walk.first_unit, unit.least_score > threshold_.load());
      GiveBack(unit.at, worker);
    }
    const std::lock_guard lock(mutex_);
    Merge(worker.found);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    changed_.notify_all();
    ranked_.arrive_and_drop();
  }

  SweepResult Result() {
    if (failure_) std::rethrow_exception(failure_);
    result_.units = units_;
    for (const auto& axes : space_.axes) result_.combinations += study::SizeOf(axes);
    std::sort(result_.pareto.begin(), result_.pareto.end(),
              [](const Candidate& a, const Candidate& b) { return a.estimate.memory < b.estimate.memory; });
    return result_;
  }

 private:
  struct Unit {
    double least_score = 0;
    std::int64_t at = -1;
    bool operator<(const Unit& o) const { return std::tie(least_score, at) < std::tie(o.least_score, o.at); }
  };

  const Walk& WalkOf(std::int64_t unit) const {
    auto walk = walks_.rbegin();
    while (walk->first_unit > unit) ++walk;
    return *walk;
  }

  /// Where much may be left out, the units that promise most come first. Returns when all threads have done.
  void RankUnits(Worker& worker) {
    for (std::size_t i = ranking_++; i < promising_.size(); i = ranking_++) {
      Unit& unit = promising_[i];
      const Walk& walk = WalkOf(unit.at);
      unit.least_score = worker.LeastScore(walk, unit.at - walk.first_unit);
    }
    ranked_.arrive_and_wait();
  }

  Unit Take() {
    std::unique_lock lock(mutex_);
    // Rows wait for those before them: let nobody run far ahead.
    const std::int64_t ahead = std::int64_t{4} * options_.jobs * options_.shards;
    changed_.wait(lock, [&] { return failure_ || !options_.each || next_ < due_ + ahead; });
    const bool none = options_.prune ? taken_ == promising_.size() : next_ >= units_;
    if (failure_ || none) return {};
    if (options_.stop && options_.stop->load()) {
      result_.complete = false;
      return {};
    }
    if (options_.prune) return promising_[taken_++];
    const Unit unit{0, next_};
    next_ += options_.shards;
    return unit;
  }

  void GiveBack(std::int64_t unit, Worker& worker) {
    const std::lock_guard lock(mutex_);
    ++done_;
    priced_ += static_cast<std::int64_t>(worker.found.priced) - reported_[&worker];
    reported_[&worker] = worker.found.priced;
    if (options_.each) {
      waiting_[unit] = worker.unit_rows;
      for (auto it = waiting_.find(due_); it != waiting_.end(); it = waiting_.find(due_)) {
        options_.each(due_, it->second);
        waiting_.erase(it);
        due_ += options_.shards;
      }
      changed_.notify_all();
    }
    if (options_.progress) options_.progress(done_, (units_ - options_.first_unit) / options_.shards, priced_);
  }

  void Merge(const Found& found) {
    result_.legal += found.legal;
    result_.pruned += found.pruned;
    result_.priced += found.priced;
    result_.out_of_memory += found.out_of_memory;
    for (const Candidate& c : found.best) KeepBest(c, space_.best, result_.best);
    for (const Candidate& c : found.pareto) KeepPareto(c, result_.pareto);
  }

  const Space& space_;
  const SweepOptions& options_;
  std::vector<Walk> walks_;
  std::atomic<double> threshold_;
  SharedTerms shared_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t units_ = 0, next_ = 0, due_ = 0, done_ = 0, priced_ = 0;
  std::map<const Worker*, std::int64_t> reported_;
  std::map<std::int64_t, std::vector<Candidate>> waiting_;
  std::exception_ptr failure_;
  SweepResult result_;
  std::vector<Unit> promising_;
  std::atomic<std::size_t> ranking_{0};
  std::size_t taken_ = 0;
  struct SortUnits {
    std::vector<Unit>* units;
    void operator()() noexcept { std::sort(units->begin(), units->end()); }
  };
  std::barrier<SortUnits> ranked_{options_.jobs, SortUnits{&promising_}};
};

}  // namespace

double ScoreOf(const Space& space, const plan::Scenario& scenario, double step_time, double model_flops) {
  const plan::Strategy& s = scenario.strategy;
  const double gpus = 1.0 * s.tensor * s.context * s.data * s.pipeline;
  const double tokens = static_cast<double>(scenario.batch.sequences) * static_cast<double>(scenario.model.sequence);
  switch (space.objective) {
    case Objective::kStepTime:
      return step_time;
    case Objective::kTokensPerSecond:
      return step_time / tokens;
    case Objective::kTokensPerGpu:
      return step_time * gpus / tokens;
    case Objective::kMfu:
      return step_time * gpus * costmodel::PeakRate(scenario.cluster.node.gpu, s.precision).value / model_flops;
  }
  return step_time;
}

void KeepBest(const Candidate& candidate, int most, std::vector<Candidate>& best) {
  best.insert(std::upper_bound(best.begin(), best.end(), candidate), candidate);
  if (static_cast<int>(best.size()) > most) best.pop_back();
}

void KeepPareto(const Candidate& candidate, std::vector<Candidate>& front) {
  const auto covers = [](const Candidate& a, const Candidate& b) {
    if (a.score > b.score || a.estimate.memory > b.estimate.memory || a.gpus > b.gpus) return false;
    return a.score < b.score || a.estimate.memory < b.estimate.memory || a.gpus < b.gpus || a.index <= b.index;
  };
  for (std::size_t i = 0; i < front.size(); ++i) {
    if (!covers(front[i], candidate)) continue;
    if (i > 0) std::swap(front[i], front[i - 1]);  // what covers often is asked early
    return;
  }
  std::erase_if(front, [&](const Candidate& f) { return covers(candidate, f); });
  front.push_back(candidate);
}

SweepResult Sweep(const Space& space, const SweepOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Desk desk(space, options);
  std::vector<std::thread> threads;
  for (int i = 1; i < options.jobs; ++i) threads.emplace_back([&] { desk.Work(); });
  desk.Work();
  for (std::thread& t : threads) t.join();
  SweepResult result = desk.Result();
  result.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace isochrone::study
