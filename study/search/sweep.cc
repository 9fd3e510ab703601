#include "study/search/sweep.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "costmodel/gemm.h"
#include "study/search/evaluator.h"
#include "study/search/legal.h"

namespace isochrone::study {
namespace {

/// A base's axes by level, and how many combinations each level has.
struct Walk {
  const plan::Scenario* base = nullptr;
  const std::vector<Axis>* axes = nullptr;
  std::size_t pipeline = 0, layout_end = 0, step = 0;  // first axis of that part
  std::int64_t units = 1, per_unit = 1;
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
  Worker(const Space& space, const SweepOptions& options, std::atomic<double>& threshold)
      : space_(space), options_(options), threshold_(threshold) {}

  Found found;
  std::vector<Candidate> unit_rows;

  void Run(const Walk& walk, std::int64_t unit) {
    unit_rows.clear();
    if (walk_ != &walk) evaluator_.EnterModel();
    walk_ = &walk;
    scenario_ = *walk.base;
    std::int64_t rest = unit;
    for (std::size_t a = walk.pipeline; a-- > 0;) {
      const auto n = static_cast<std::int64_t>((*walk.axes)[a].values.size());
      (*walk.axes)[a].set(static_cast<std::size_t>(rest % n), scenario_);
      rest /= n;
    }
    if (RepeatsBlock(scenario_.strategy, walk.base->strategy) || !LegalBlock(scenario_)) return;
    evaluator_.EnterBlock(PrefixOf(walk, unit));
    sequences_ = scenario_.batch.sequences;
    Layouts(walk.pipeline, walk.first_index + unit * walk.per_unit, walk.per_unit);
  }

 private:
  int PrefixOf(const Walk& walk, std::int64_t unit) {
    std::vector<std::int64_t> key = {walk.first_unit};
    for (std::size_t a = walk.pipeline; a-- > 0;) {
      const auto n = static_cast<std::int64_t>((*walk.axes)[a].values.size());
      if (StateFollows((*walk.axes)[a].key)) key.push_back(unit % n);
      unit /= n;
    }
    return prefixes_.emplace(std::move(key), static_cast<int>(prefixes_.size())).first->second;
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

  void Layouts(std::size_t axis, std::int64_t index, std::int64_t span) {
    if (axis < walk_->layout_end) {
      Each(axis, index, span, [&](std::int64_t i, std::int64_t s) { Layouts(axis + 1, i, s); });
      return;
    }
    scenario_.batch.sequences = sequences_;
    if (!Complete(space_, scenario_) || !LegalLayout(space_, scenario_)) return;
    evaluator_.EnterLayout();
    counting_ = options_.prune && NoneHopes(walk_->step);
    Pipelines(axis, index, span);
  }

  /// No sharding of this layout, from this axis on, may be among the best.
  bool NoneHopes(std::size_t axis) {
    if (axis == walk_->axes->size()) {
      if (!LegalStep(scenario_)) return true;
      evaluator_.EnterStep(scenario_);
      return Hopeless(evaluator_.LeastStepTime(scenario_));
    }
    bool none = true;
    Each(axis, 0, 1, [&](std::int64_t, std::int64_t) { none = none && NoneHopes(axis + 1); });
    return none;
  }

  bool Hopeless(double least_time) const {
    return ScoreOf(space_, scenario_, least_time, evaluator_.ModelFlops(scenario_)) >
           threshold_.load(std::memory_order_relaxed);
  }

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
    if (counting_ || !Hopes()) ++found.pruned;
    else Price(index);
  }

  /// Leaves the evaluator where Price goes on.
  bool Hopes() {
    evaluator_.EnterStep(scenario_);
    if (options_.prune &&
        (Hopeless(evaluator_.LeastStepTime(scenario_)) || Hopeless(evaluator_.LeastPipelineTime(scenario_))))
      return false;
    memory_ = evaluator_.Memory(scenario_);
    return !options_.prune || !space_.constraints.fits || memory_ <= Capacity();
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
    c.score = ScoreOf(space_, scenario_, e.step_time, c.model_flops);
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
  std::map<std::vector<std::int64_t>, int> prefixes_;
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
  }

  void Work() try {
    Worker worker(space_, options_, threshold_);
    for (std::int64_t unit = Take(); unit >= 0; unit = Take()) {
      auto walk = walks_.rbegin();
      while (walk->first_unit > unit) ++walk;
      worker.Run(*walk, unit - walk->first_unit);
      GiveBack(unit, worker);
    }
    const std::lock_guard lock(mutex_);
    Merge(worker.found);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    changed_.notify_all();
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
  std::int64_t Take() {
    std::unique_lock lock(mutex_);
    // Rows wait for those before them: let nobody run far ahead.
    const std::int64_t ahead = std::int64_t{4} * options_.jobs * options_.shards;
    changed_.wait(lock, [&] { return failure_ || !options_.each || next_ < due_ + ahead; });
    if (failure_ || next_ >= units_) return -1;
    if (options_.stop && options_.stop->load()) {
      result_.complete = false;
      return -1;
    }
    const std::int64_t unit = next_;
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
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t units_ = 0, next_ = 0, due_ = 0, done_ = 0, priced_ = 0;
  std::map<const Worker*, std::int64_t> reported_;
  std::map<std::int64_t, std::vector<Candidate>> waiting_;
  std::exception_ptr failure_;
  SweepResult result_;
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
