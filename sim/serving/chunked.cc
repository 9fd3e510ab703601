// Decodes first, then pieces of prompts up to the token budget.
#include "sim/serving/reserving.h"

namespace isochrone::sim::serving {
namespace {

class Engine : ReservingEngine {
 public:
  explicit Engine(const Work& work) : ReservingEngine(work) {}

  Served Run() {
    while (Waiting() || !running_.Empty() || first_ < prompts_.size()) {
      Admit();
      if (first_ < prompts_.size()) MixedStep();
      else if (!running_.Empty()) Decode();
      else WaitForNext();
    }
    return Result();
  }

 private:
  struct Prompt {
    std::int32_t id;
    double done;  // tokens whose keys and values are cached
  };

  void Admit() {
    for (const Request* r = Arrived(); r && HasRoom(*r, prompts_.size() - first_); r = Arrived())
      prompts_.push_back({Reserve(), 0});
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
    if (load.decoded > 0) DecodeBesidePrompts();
    first_ += ended_.size();
    if (first_ == prompts_.size()) prompts_.clear(), first_ = 0;
    for (const std::int32_t id : ended_) AnswerFirst(id);
  }

  std::vector<Prompt> prompts_;  // from first_ on: not yet whole, in the order of arrival
  std::vector<std::int32_t> ended_;
  std::size_t first_ = 0;
};

}  // namespace

Served Chunked(const Work& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
