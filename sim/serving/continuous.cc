// Requests join and leave at every step.
#include "sim/serving/reserving.h"

namespace isochrone::sim::serving {
namespace {

class Engine : ReservingEngine {
 public:
  explicit Engine(const Work& work) : ReservingEngine(work) {}

  Served Run() {
    while (Waiting() || !running_.Empty()) {
      if (Admit()) PromptStep();
      else if (!running_.Empty()) Decode();
      else WaitForNext();
    }
    return Result();
  }

 private:
  /// Takes what has arrived and finds room; true where a prompt is ready to be computed.
  bool Admit() {
    load_ = {};
    while (const Request* r = Arrived()) {
      const double prompt = PromptOf(*r);
      const bool over_budget = load_.pieces > 0 && load_.prompt_tokens + prompt > work_.limits.token_budget;
      if (over_budget || !HasRoom(*r, joining_.size())) break;
      joining_.push_back(Reserve());
      load_.pieces += 1, load_.prompt_tokens += prompt, load_.prompt_pairs += prompt * prompt / 2;
    }
    return !joining_.empty();
  }

  void PromptStep() {
    const bool fused = work_.limits.fuses_prompts && !running_.Empty();
    if (fused) load_.decoded = static_cast<double>(running_.Size()), load_.cached = running_.Cached();
    clock_.Spend(work_.cost.Seconds(load_), Phase::kPrompt, 1, load_.decoded, !running_.Empty());
    if (fused) DecodeBesidePrompts();
    for (const std::int32_t id : joining_) AnswerFirst(id);
    joining_.clear();
  }

  std::vector<std::int32_t> joining_;
  plan::StepLoad load_;
};

}  // namespace

Served Continuous(const Work& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
