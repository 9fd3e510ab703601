// Cache in pages, taken as sequences grow; the youngest gives its own up when none is left.
#include <array>
#include <deque>

#include "sim/serving/running_set.h"
#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {
namespace {

/// How many pages the running sequences will need: they all grow by a token a step, so what matters of each is only
/// where its last page ends.
class Pages {
 public:
  Pages(double cache_tokens, std::int64_t page)
      : page_(page),
        free_(static_cast<std::int64_t>(std::min(cache_tokens / static_cast<double>(page), 4e18))),
        count_(static_cast<std::size_t>(page)) {}

  std::int64_t For(std::int64_t tokens) const { return (tokens + page_ - 1) / page_; }
  std::int64_t Free() const { return free_; }
  void Join(std::int64_t tokens, std::int64_t ticks) {
    free_ -= For(tokens);
    ++count_[Slot(tokens, ticks)];
  }
  void Leave(std::int64_t tokens, std::int64_t ticks) {
    free_ += For(tokens);
    --count_[Slot(tokens, ticks)];
  }
  /// Steps from `ticks` on, at most `steps`, that find their pages. A sequence of t tokens takes a page for its next
  /// one where t divides by the page.
  std::int64_t StepsWithin(std::int64_t steps, std::int64_t sequences, std::int64_t ticks) const {
    if (sequences == 0) return steps;
    const std::int64_t rounds = free_ / sequences;  // in every `page` steps each sequence takes one page
    std::int64_t done = std::min(steps, rounds > 1 ? (rounds - 1) * page_ : 0);
    std::int64_t left = free_ - done / page_ * sequences;
    for (; done < steps; ++done) {
      left -= Taking(ticks + done);
      if (left < 0) break;
    }
    return done;
  }
  void Advance(std::int64_t steps, std::int64_t sequences, std::int64_t ticks) {
    free_ -= steps / page_ * sequences;
    for (std::int64_t i = steps / page_ * page_; i < steps; ++i) free_ -= Taking(ticks + i);
  }

 private:
  std::size_t Slot(std::int64_t tokens, std::int64_t ticks) const {
    return static_cast<std::size_t>(((tokens - ticks) % page_ + page_) % page_);
  }
  /// Sequences whose last page is full at `ticks`.
  std::int64_t Taking(std::int64_t ticks) const { return count_[Slot(0, ticks)]; }

  std::int64_t page_, free_;
  std::vector<std::int64_t> count_;  // sequences by (tokens - ticks) mod page
};

class Engine {
 public:
  explicit Engine(const Work& work)
      : work_(work),
        clock_(served_, work.trace),
        pages_(work.limits.cache_tokens, work.limits.block_tokens),
        done_(work.requests.size(), 0),
        joined_(work.requests.size(), 0) {
    served_.outcomes.resize(work.requests.size());
  }

  Served Run() {
    while (next_ < work_.requests.size() || !running_.Empty() || !preempted_.empty()) {
      if (Admit()) PromptStep();
      else if (!running_.Empty()) Decode();
      else if (next_ < work_.requests.size()) clock_.WaitUntil(work_.requests[next_].arrival);
    }
    served_.end = clock_.Now();
    return std::move(served_);
  }

 private:
  const Request& Of(std::int32_t id) const { return work_.requests[static_cast<std::size_t>(id)]; }
  /// Tokens of the sequence now: those of its prompt and the answered ones.
  std::int64_t Tokens(std::int32_t id) const { return PromptOf(Of(id)) + Answered(id); }
  std::int64_t Answered(std::int32_t id) const {
    const auto at = static_cast<std::size_t>(id);
    return done_[at] + (joined_[at] > 0 ? running_.Ticks() - (joined_[at] - 1) : 0);
  }

  bool HasRoom(std::int32_t id) const {
    const std::int64_t n = running_.Size() + static_cast<std::int64_t>(joining_.size());
    return n < work_.limits.sequences && pages_.For(Tokens(id) + 1) <= pages_.Free() - taken_;
  }

  bool Take(std::int32_t id) {
    const auto tokens = static_cast<double>(Tokens(id));
    const bool over_budget = load_.pieces > 0 && load_.prompt_tokens + tokens > work_.limits.token_budget;
    if (over_budget || !HasRoom(id)) return false;
    load_.pieces += 1, load_.prompt_tokens += tokens, load_.prompt_pairs += tokens * tokens / 2;
    taken_ += pages_.For(Tokens(id) + 1);
    joining_.push_back(id);
    return true;
  }

  bool Admit() {
    load_ = {}, taken_ = 0;
    while (!preempted_.empty() && Take(preempted_.front())) preempted_.pop_front();
    for (; preempted_.empty() && next_ < work_.requests.size() && work_.requests[next_].arrival <= clock_.Now();
         ++next_) {
      const Request& r = work_.requests[next_];
      // The last token of an answer is never cached, but a page for it is asked for.
      const auto most = static_cast<double>(pages_.For(PromptOf(r) + r.output) * work_.limits.block_tokens);
      if (!Fits(r, work_.limits) || most > work_.limits.cache_tokens) {
        served_.outcomes[next_] = {r.arrival, r.arrival, 0, Fate::kTooLong};
        continue;
      }
      if (!Take(static_cast<std::int32_t>(next_))) break;
    }
    return !joining_.empty();
  }

  void PromptStep() {
    bool fused = work_.limits.fuses_prompts && !running_.Empty();
    if (fused && pages_.StepsWithin(1, running_.Size(), running_.Ticks()) == 0) fused = false;
    if (fused) load_.decoded = static_cast<double>(running_.Size()), load_.cached = running_.Cached();
    clock_.Spend(work_.cost.Seconds(load_), Phase::kPrompt, 1, load_.decoded, !running_.Empty());
    if (fused) Step(1);
    for (const std::int32_t id : joining_) Start(id);
    joining_.clear();
  }

  void Start(std::int32_t id) {
    const auto at = static_cast<std::size_t>(id);
    Outcome& outcome = served_.outcomes[at];
    if (done_[at] == 0) outcome.first_token = clock_.Now();
    ++done_[at];
    if (done_[at] >= Of(id).output) {
      outcome.finish = clock_.Now();
      return;
    }
    joined_[at] = running_.Ticks() + 1;
    pages_.Join(Tokens(id), running_.Ticks());
    running_.Join(id, Of(id).output - done_[at], static_cast<double>(Tokens(id)));
    order_.push_back(id);
  }

  void Decode() {
    const std::int64_t possible = pages_.StepsWithin(running_.StepsToNextEnd(), running_.Size(), running_.Ticks());
    if (possible == 0) {
      Preempt();
      return;
    }
    std::int64_t steps = possible;
    const auto n = static_cast<double>(running_.Size());
    if (preempted_.empty() && next_ < work_.requests.size() && HasRoom(static_cast<std::int32_t>(next_))) {
      const double wait = work_.requests[next_].arrival - clock_.Now();
      if (work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)) > wait)
        steps = std::min(steps, StepsLasting(work_.cost, n, running_.Cached(), wait));
    }
    clock_.Spend(work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)), Phase::kDecode, steps, n);
    Step(steps);
  }

  void Step(std::int64_t steps) {
    pages_.Advance(steps, running_.Size(), running_.Ticks());
    running_.Advance(steps);
    running_.TakeEnded([&](std::int32_t id) {
      const auto at = static_cast<std::size_t>(id);
      const std::int64_t tokens = Tokens(id);
      pages_.Leave(tokens, running_.Ticks());
      joined_[at] = 0, done_[at] = Of(id).output;
      served_.outcomes[at].finish = clock_.Now();
      return static_cast<double>(tokens);
    });
  }

  void Preempt() {
    while (joined_[static_cast<std::size_t>(order_.back())] == 0) order_.pop_back();  // has ended, or is out already
    const std::int32_t id = order_.back();
    order_.pop_back();
    const auto at = static_cast<std::size_t>(id);
    const std::int64_t tokens = Tokens(id), answered = Answered(id);
    running_.Leave(id, static_cast<double>(tokens));
    pages_.Leave(tokens, running_.Ticks());
    joined_[at] = 0, done_[at] = answered;
    ++served_.outcomes[at].preemptions, ++served_.preemptions;
    preempted_.push_front(id);
  }

  const Work& work_;
  Served served_;
  Clock clock_;
  RunningSet running_;
  Pages pages_;
  std::vector<std::int64_t> done_;             // answered tokens before it joined the running set last
  std::vector<std::int64_t> joined_;           // 1 + the tick at which it joined; 0: does not run
  std::vector<std::int32_t> order_, joining_;  // order_: as they joined
  std::deque<std::int32_t> preempted_;
  plan::StepLoad load_;
  std::size_t next_ = 0;
  std::int64_t taken_ = 0;
};

}  // namespace

Served Paged(const Work& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
