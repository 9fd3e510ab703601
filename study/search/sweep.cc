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

#include "study/search/shared.h"
#include "study/search/walk.h"
#include "study/search/worker.h"

namespace isochrone::study {
namespace {

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
    Worker worker(space_, options_.prune, options_.each != nullptr, shared_, threshold_);
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
