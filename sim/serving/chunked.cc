// Decodes first, then pieces of prompts up to the token budget.
#include "sim/serving/running_set.h"
#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {
namespace {

class Engine {
 public:
  explicit Engine(const Work& work) : work_(work), clock_(served_, work.trace) {
    served_.outcomes.resize(work.requests.size());
  }

  Served Run() {
    while (next_ < work_.requests.size() || !running_.Empty() || first_ < prompts_.size()) {
      Admit();
      if (first_ < prompts_.size()) MixedStep();
      else if (!running_.Empty()) Decode();
      else if (next_ < work_.requests.size()) clock_.WaitUntil(work_.requests[next_].arrival);
    }
    served_.end = clock_.Now();
    return std::move(served_);
  }

 private:
  struct Prompt {
    std::int32_t id;
    double done;  // tokens whose keys and values are cached
  };
  static double Length(const Request& r) { return static_cast<double>(PromptOf(r)) + r.output; }
  const Request& Of(std::int32_t id) const { return work_.requests[static_cast<std::size_t>(id)]; }

  bool HasRoom(const Request& r) const {
    const auto n = running_.Size() + static_cast<std::int64_t>(prompts_.size() - first_);
    return n < work_.limits.sequences && reserved_ + Length(r) <= work_.limits.cache_tokens;
  }

  void Admit() {
    for (; next_ < work_.requests.size() && work_.requests[next_].arrival <= clock_.Now(); ++next_) {
      const Request& r = work_.requests[next_];
      if (!Fits(r, work_.limits)) {
        served_.outcomes[next_] = {r.arrival, r.arrival, 0, Fate::kTooLong};
        continue;
      }
      if (!HasRoom(r)) break;
      reserved_ += Length(r);
      prompts_.push_back({static_cast<std::int32_t>(next_), 0});
    }
  }

  void MixedStep() {
    plan::StepLoad load;
    load.decoded = static_cast<double>(running_.Size()), load.cached = running_.Cached();
    double budget = std::max(1.0, work_.limits.token_budget - load.decoded);
    ended_.clear();
    for (std::size_t i = first_; i < prompts_.size() && budget > 0; ++i) {
      Prompt& p = prompts_[i];
      const double piece = std::min(budget, PromptOf(Of(p.id)) - p.done);
      load.pieces += 1, load.prompt_tokens += piece, load.prompt_pairs += piece * (p.done + piece / 2);
      budget -= piece, p.done += piece;
      if (p.done >= PromptOf(Of(p.id))) ended_.push_back(p.id);
    }
    clock_.Spend(work_.cost.Seconds(load), Phase::kPrompt, 1, load.decoded);
    if (load.decoded > 0) running_.Advance(1), Release();
    first_ += ended_.size();
    if (first_ == prompts_.size()) prompts_.clear(), first_ = 0;
    for (const std::int32_t id : ended_) {
      Outcome& outcome = served_.outcomes[static_cast<std::size_t>(id)];
      outcome.first_token = clock_.Now();
      if (Of(id).output > 1) running_.Join(id, Of(id).output - 1, PromptOf(Of(id)) + 1);
      else outcome.finish = clock_.Now(), reserved_ -= Length(Of(id));
    }
  }

  void Decode() {
    const auto n = static_cast<double>(running_.Size());
    std::int64_t steps = running_.StepsToNextEnd();
    if (next_ < work_.requests.size() && HasRoom(work_.requests[next_])) {
      const double wait = work_.requests[next_].arrival - clock_.Now();
      if (work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)) > wait)
        steps = StepsLasting(work_.cost, n, running_.Cached(), wait);
    }
    clock_.Spend(work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)), Phase::kDecode, steps, n);
    running_.Advance(steps);
    Release();
  }

  void Release() {
    running_.TakeEnded([&](std::int32_t id) {
      served_.outcomes[static_cast<std::size_t>(id)].finish = clock_.Now();
      reserved_ -= Length(Of(id));
      return Length(Of(id));
    });
  }

  const Work& work_;
  Served served_;
  Clock clock_;
  RunningSet running_;
  std::vector<Prompt> prompts_;  // from first_ on: not yet whole, in the order of arrival
  std::vector<std::int32_t> ended_;
  std::size_t next_ = 0, first_ = 0;
  double reserved_ = 0;
};

}  // namespace

Served Chunked(const Work& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
