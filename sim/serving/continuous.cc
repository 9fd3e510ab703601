// Requests join and leave at every step.
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
    while (next_ < work_.requests.size() || !running_.Empty()) {
      if (Admit()) PromptStep();
      else if (!running_.Empty()) Decode();
      else clock_.WaitUntil(work_.requests[next_].arrival);
    }
    served_.end = clock_.Now();
    return std::move(served_);
  }

 private:
  static double Length(const Request& r) { return static_cast<double>(PromptOf(r)) + r.output; }

  bool HasRoom(const Request& r) const {
    const std::int64_t n = running_.Size() + static_cast<std::int64_t>(joining_.size());
    return n < work_.limits.sequences && reserved_ + Length(r) <= work_.limits.cache_tokens;
  }

  /// Takes what has arrived and finds room; true where a prompt is ready to be computed.
  bool Admit() {
    load_ = {};
    for (; next_ < work_.requests.size() && work_.requests[next_].arrival <= clock_.Now(); ++next_) {
      const Request& r = work_.requests[next_];
      if (!Fits(r, work_.limits)) {
        served_.outcomes[next_] = {r.arrival, r.arrival, 0, Fate::kTooLong};
        continue;
      }
      const double prompt = PromptOf(r);
      const bool over_budget = load_.pieces > 0 && load_.prompt_tokens + prompt > work_.limits.token_budget;
      if (over_budget || !HasRoom(r)) break;
      reserved_ += Length(r);
      load_.pieces += 1, load_.prompt_tokens += prompt, load_.prompt_pairs += prompt * prompt / 2;
      joining_.push_back(static_cast<std::int32_t>(next_));
    }
    return !joining_.empty();
  }

  void PromptStep() {
    const bool fused = work_.limits.fuses_prompts && !running_.Empty();
    if (fused) load_.decoded = static_cast<double>(running_.Size()), load_.cached = running_.Cached();
    clock_.Spend(work_.cost.Seconds(load_), Phase::kPrompt, 1, load_.decoded, !running_.Empty());
    if (fused) running_.Advance(1), Release();
    for (const std::int32_t id : joining_) {
      const Request& r = work_.requests[static_cast<std::size_t>(id)];
      Outcome& outcome = served_.outcomes[static_cast<std::size_t>(id)];
      outcome.first_token = clock_.Now();
      if (r.output > 1) running_.Join(id, r.output - 1, PromptOf(r) + 1);
      else outcome.finish = clock_.Now(), reserved_ -= Length(r);
    }
    joining_.clear();
  }

  /// Decodes until a sequence ends or the next request that finds room has arrived.
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
      const Request& r = work_.requests[static_cast<std::size_t>(id)];
      served_.outcomes[static_cast<std::size_t>(id)].finish = clock_.Now();
      reserved_ -= Length(r);
      return Length(r);
    });
  }

  const Work& work_;
  Served served_;
  Clock clock_;
  RunningSet running_;
  std::vector<std::int32_t> joining_;
  plan::StepLoad load_;
  std::size_t next_ = 0;
  double reserved_ = 0;
};

}  // namespace

Served Continuous(const Work& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
