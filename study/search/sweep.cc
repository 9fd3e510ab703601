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
#include <thread>
#include <tuple>

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

/// Hands out parts of units and takes their rows back in order.
class Desk {
 public:
  Desk(const Space& space, const SweepOptions& options)
      : space_(space), options_(options), walks_(WalksOf(space)), threshold_(std::numeric_limits<double>::infinity()) {
    units_ = walks_.back().first_unit + walks_.back().units;
    next_.unit = options.first_unit;
    while (next_.unit % options.shards != options.shard - 1) ++next_.unit;
    due_ = next_;
    if (options.each) return;
    for (std::int64_t unit = next_.unit; unit < units_; unit += options.shards) queue_.push_back({0, unit});
    if (!options.prune) Spread();
  }

  /// One thread, `who` of 0 … jobs − 1.
  void Work(int who) try {
    const double begin = ThreadCpuSeconds();
    Worker worker(space_, options_.prune, options_.each != nullptr, shared_, threshold_);
    if (options_.prune) RankUnits(worker);
    for (Part part = Take(); part.unit >= 0; part = Take()) {
      const Walk& walk = WalkOf(part.unit);
      // Layouts share schedules with those of other units: threads that walked all in one order would meet at every
      // one.
      const std::int64_t count = part.end - part.at, first = count * who / options_.jobs;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t at = part.at + (first + i) % count;
        worker.Run(walk, part.unit - walk.first_unit, at, part.least_score > threshold_.load());
      }
      GiveBack(part, worker);
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

  /// Units of one prefix share the terms of their steps: threads that took one each would meet at every one of them.
  void Spread() {
    std::vector<std::pair<std::int64_t, Part>> by_prefix;
    for (const Part& part : queue_) {
      const Walk& walk = WalkOf(part.unit);
      by_prefix.push_back({PrefixOf(walk, part.unit - walk.first_unit), part});
    }
    std::sort(by_prefix.begin(), by_prefix.end());
    const std::size_t jobs = options_.jobs, each = (queue_.size() + jobs - 1) / jobs;
    queue_.clear();
    for (std::size_t i = 0; i < each; ++i) {
      for (std::size_t unit = i; unit < by_prefix.size(); unit += each) queue_.push_back(by_prefix[unit].second);
    }
  }

  /// Where much may be left out, the units that promise most come first. Returns when all threads have done.
  void RankUnits(Worker& worker) {
    for (std::size_t i = ranking_++; i < queue_.size(); i = ranking_++) {
      Part& first = queue_[i];
      const Walk& walk = WalkOf(first.unit);
      first.least_score = worker.LeastScore(walk, first.unit - walk.first_unit);
    }
    ranked_.arrive_and_wait();
  }

  Part Take() {
    std::unique_lock lock(mutex_);
    // Rows wait for those before them: let nobody run far ahead.
    changed_.wait(lock, [&] { return failure_ || waiting_rows_ < kMostWaitingRows; });
    const bool none = options_.each ? next_.unit >= units_ : taken_ == queue_.size();
    if (failure_ || none) return {};
    const bool begins = next_.at == 0;
    if (begins && options_.stop && options_.stop->load()) {
      result_.complete = false;
      return {};
    }
    if (begins && !options_.each) next_ = queue_[taken_];
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

  /// Of those left of a unit: one where rows are kept in order; all where none has hope, since they are only counted,
  /// or where each thread has units enough of its own, since prices of a block are made once for those who work on it;
  /// else so few that no thread is left with much at the end, and so many that threads seldom meet.
  std::int64_t PartsAtOnce(const Part& first, std::int64_t left) const {
    constexpr int kMost = 64, kShares = 16, kUnits = 4;
    if (options_.each) return 1;
    const bool many = !options_.prune && queue_.size() - taken_ > static_cast<std::size_t>(kUnits * options_.jobs);
    if (many || first.least_score > threshold_.load()) return left;
    return std::clamp<std::int64_t>(left / (kShares * options_.jobs), 1, kMost);
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
  std::vector<Part> queue_;  // the first part of each unit, where rows are not kept in order
  std::atomic<std::size_t> ranking_{0};
  std::size_t taken_ = 0;  // units
  struct SortUnits {
    std::vector<Part>* units;
    void operator()() noexcept { std::sort(units->begin(), units->end()); }
  };
  std::barrier<SortUnits> ranked_{options_.jobs, SortUnits{&queue_}};
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
