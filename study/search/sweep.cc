#include "study/search/sweep.h"

#include <time.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include "study/search/shares.h"
#include "study/search/walk.h"
#include "study/search/worker.h"
#include "study/terms/shared.h"

namespace isochrone::study {
namespace {

double ThreadCpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::int64_t CeilDiv(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Hands out parts of units and takes their rows back in order.
class Desk {
 public:
  Desk(const Space& space, const SweepOptions& options)
      : space_(space),
        options_(options),
        walks_(WalksOf(space)),
        threshold_(std::numeric_limits<double>::infinity()),
        shared_(static_cast<std::size_t>(options.jobs), PrefixesKept()) {
    units_ = walks_.back().first_unit + walks_.back().units;
    next_.unit = options.first_unit;
    while (next_.unit % options.shards != options.shard - 1) ++next_.unit;
    due_ = next_;
    if (options.prune) {
      for (std::int64_t unit = next_.unit; unit < units_; unit += options.shards) promising_.push_back({0, unit});
    } else if (!options.each) {
      shares_ = SharesOf(next_.unit);
    }
  }

  /// One thread, `who` of 0 … jobs − 1.
  void Work(int who) try {
    const double begin = ThreadCpuSeconds();
    Worker worker(space_, options_.prune, options_.each != nullptr, shared_, threshold_, WayOf(who));
    if (options_.prune) RankUnits(worker);
    while (const std::optional<Part> part = Take(who)) {
      const Walk& walk = WalkOf(part->unit);
      // Layouts share schedules with those of other units: threads that walked all in one order would meet at each.
      const std::int64_t count = part->end - part->at, first = count * who / options_.jobs;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t at = part->at + (first + i) % count;
        worker.Run(walk, part->unit - walk.first_unit, at, part->least_score > threshold_.load());
      }
      GiveBack(*part, worker);
    }
    const std::lock_guard lock(mutex_);
    Merge(worker.found);
    result_.cpu_s.push_back(ThreadCpuSeconds() - begin);
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
  struct Part {
    double least_score = 0;  // of its unit
    std::int64_t unit = -1, at = 0;
    std::int64_t end = 1;
    bool operator<(const Part& o) const {
      return std::tie(least_score, unit, at) < std::tie(o.least_score, o.unit, o.at);
    }
  };
  using Place = std::pair<std::int64_t, std::int64_t>;  // unit, part

  const Walk& WalkOf(std::int64_t unit) const {
    auto walk = walks_.rbegin();
    while (walk->first_unit > unit) ++walk;
    return *walk;
  }

  /// Units of one prefix share the terms of their steps, and threads that worked on one would meet at every term: each
  /// thread has units of its own, or, where these are few, parts of them.
  Shares<Part> SharesOf(std::int64_t first_unit) const {
    constexpr std::int64_t kForEach = 16;
    std::vector<std::pair<std::int64_t, Part>> by_prefix;
    const std::int64_t units = (units_ - first_unit + options_.shards - 1) / options_.shards;
    const std::int64_t cuts = CeilDiv(kForEach * options_.jobs, std::max<std::int64_t>(units, 1));
    for (std::int64_t unit = first_unit; unit < units_; unit += options_.shards) {
      const Walk& walk = WalkOf(unit);
      const std::int64_t prefix = PrefixOf(walk, unit - walk.first_unit), size = CeilDiv(walk.parts, cuts);
      for (std::int64_t at = 0; at < walk.parts; at += size)
        by_prefix.push_back({prefix, {0, unit, at, std::min(at + size, walk.parts)}});
    }
    std::sort(by_prefix.begin(), by_prefix.end());
    std::vector<Part> parts;
    for (const auto& [prefix, part] : by_prefix) parts.push_back(part);
    return {std::move(parts), options_.jobs};
  }

  /// Units of one prefix follow each other in every share; in the order of promise they come back to many.
  std::size_t PrefixesKept() const {
    constexpr std::size_t kInPromise = 32;
    return options_.prune || options_.each ? kInPromise : static_cast<std::size_t>(options_.jobs);
  }

  /// Of its own where all is priced. Kept rows are in order, and pruning does best where all go from the best first.
  Way WayOf(int who) const {
    if (options_.prune || options_.each) return {};
    return {static_cast<std::size_t>(who), static_cast<std::size_t>(options_.jobs)};
  }

  /// Where much may be left out, the units that promise most come first. Returns when all threads have done.
  void RankUnits(Worker& worker) {
    for (std::size_t i = ranking_++; i < promising_.size(); i = ranking_++) {
      Part& first = promising_[i];
      const Walk& walk = WalkOf(first.unit);
      first.least_score = worker.LeastScore(walk, first.unit - walk.first_unit);
    }
    ranked_.arrive_and_wait();
  }

  std::optional<Part> Take(int who) {
    std::unique_lock lock(mutex_);
    // Rows wait for those before them: let nobody run far ahead.
    changed_.wait(lock, [&] { return failure_ || waiting_rows_ < kMostWaitingRows; });
    if (failure_) return std::nullopt;
    if (next_.at == 0 && options_.stop && options_.stop->load()) {
      result_.complete = false;
      return std::nullopt;
    }
    return options_.prune || options_.each ? TakeNext() : shares_.Take(who);
  }

  /// In the order of what units promise, or of their numbers.
  std::optional<Part> TakeNext() {
    if (options_.prune ? taken_ == promising_.size() : next_.unit >= units_) return std::nullopt;
    if (next_.at == 0 && options_.prune) next_ = promising_[taken_];
    Part part = next_;
    const std::int64_t parts = WalkOf(part.unit).parts;
    part.end = part.at + PartsAtOnce(part, parts - part.at);
    next_.at = part.end;
    if (part.end == parts) {
      next_ = {0, part.unit + options_.shards};
      ++taken_;
    }
    return part;
  }

  /// Of those left of a unit: one where rows are kept in order; all where none has hope, since they are only counted;
  /// else so few that no thread is left with much at the end, and so many that threads seldom meet.
  std::int64_t PartsAtOnce(const Part& first, std::int64_t left) const {
    constexpr int kMost = 64, kForEach = 16;
    if (options_.each) return 1;
    if (first.least_score > threshold_.load()) return left;
    return std::clamp<std::int64_t>(left / (kForEach * options_.jobs), 1, kMost);
  }

  void GiveBack(const Part& part, Worker& worker) {
    const std::lock_guard lock(mutex_);
    priced_ += static_cast<std::int64_t>(worker.found.priced) - reported_[&worker];
    reported_[&worker] = worker.found.priced;
    if (options_.each) {
      waiting_rows_ += worker.rows.size();
      waiting_[{part.unit, part.at}] = worker.rows;
      while (!waiting_.empty() && waiting_.begin()->first == Place{due_.unit, due_.at}) Deliver();
      changed_.notify_all();
    }
    const std::int64_t parts = WalkOf(part.unit).parts;
    if ((parts_done_[part.unit] += part.end - part.at) < parts) return;
    parts_done_.erase(part.unit);
    ++done_;
    if (options_.progress) options_.progress(done_, (units_ - options_.first_unit) / options_.shards, priced_);
  }

  /// The part that is due, and with a unit's last part the unit.
  void Deliver() {
    const auto first = waiting_.begin();
    waiting_rows_ -= first->second.size();
    rows_.insert(rows_.end(), first->second.begin(), first->second.end());
    waiting_.erase(first);
    if (++due_.at < WalkOf(due_.unit).parts) return;
    options_.each(due_.unit, rows_);
    rows_.clear();
    due_ = {0, due_.unit + options_.shards};
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
  std::int64_t units_ = 0, done_ = 0, priced_ = 0;
  Part next_, due_;  // the first that nobody has taken; whose rows are wanted next
  std::map<const Worker*, std::int64_t> reported_;
  std::map<std::int64_t, std::int64_t> parts_done_;  // of the units that are not done
  std::map<Place, std::vector<Candidate>> waiting_;
  std::vector<Candidate> rows_;  // of the unit that is due
  static constexpr std::size_t kMostWaitingRows = 100'000;
  std::size_t waiting_rows_ = 0;
  std::exception_ptr failure_;
  SweepResult result_;
  Shares<Part> shares_;          // where all is priced and no row kept
  std::vector<Part> promising_;  // the first part of each unit, most promising first
  std::atomic<std::size_t> ranking_{0};
  std::size_t taken_ = 0;  // units
  struct SortUnits {
    std::vector<Part>* units;
    void operator()() noexcept { std::sort(units->begin(), units->end()); }
  };
  std::barrier<SortUnits> ranked_{options_.jobs, SortUnits{&promising_}};
};

}  // namespace

SweepResult Sweep(const Space& space, const SweepOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Desk desk(space, options);
  std::vector<std::thread> threads;
  for (int i = 1; i < options.jobs; ++i) threads.emplace_back([&desk, i] { desk.Work(i); });
  desk.Work(0);
  for (std::thread& t : threads) t.join();
  SweepResult result = desk.Result();
  result.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace isochrone::study
