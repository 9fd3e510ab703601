// Groups of sequences that take turns in a line of stages.
#include "sim/serving/pipelined.h"

#include <functional>
#include <queue>
#include <utility>

#include "sim/serving/stage_line.h"

namespace isochrone::sim::serving {
namespace {

struct Sequence {
  std::int32_t id = 0;
  double done = 0;  // tokens of the prompt whose keys and values are cached
  double cached = 0;
  std::int32_t left = 0;  // tokens of the answer
};

struct Group {
  std::vector<Sequence> prompts, decoding;
  double reserved = 0;            // tokens of the cache
  double last = 0, answered = 0;  // when the last step left, and the last that gave tokens
  bool Empty() const { return prompts.empty() && decoding.empty(); }
};

class Engine {
 public:
  explicit Engine(const PipelinedWork& work) : work_(work), line_(work.cost), groups_(work.cost.stages.size()) {
    served_.outcomes.resize(work.requests.size());
    served_.bubbles.resize(work.requests.size());
  }

  Served Run() {
    for (std::size_t g = 0; g < groups_.size(); ++g) ready_.push({0, g});
    while (!ready_.empty()) {
      const auto [ready, g] = ready_.top();
      ready_.pop();
      Group& group = groups_[g];
      double now = std::max(ready, line_.Free());
      const bool quiet = group.Empty() && Waiting() && work_.requests[next_].arrival > now;
      if (quiet) now = work_.requests[next_].arrival;
      Admit(group, now);
      if (group.Empty()) {
        if (Waiting()) ready_.push({std::max(now, work_.requests[next_].arrival), g});  // no room yet, or turned away
        continue;
      }
      Step(group, now, quiet);
      ready_.push({group.last, g});
    }
    return std::move(served_);
  }

 private:
  bool Waiting() const { return next_ < work_.requests.size(); }
  static double Length(const Request& r) { return static_cast<double>(PromptOf(r)) + r.output; }
  const Request& Of(const Sequence& s) const { return work_.requests[static_cast<std::size_t>(s.id)]; }

  void Admit(Group& group, double now) {
    for (; Waiting() && work_.requests[next_].arrival <= now; ++next_) {
      const Request& r = work_.requests[next_];
      if (!Fits(r, work_.limits)) {
        served_.outcomes[next_] = {r.arrival, r.arrival, 0, Fate::kTooLong};
        continue;
      }
      const auto n = static_cast<std::int64_t>(group.prompts.size() + group.decoding.size());
      if (n >= work_.limits.sequences || group.reserved + Length(r) > work_.limits.cache_tokens) return;
      group.reserved += Length(r);
      group.prompts.push_back({.id = static_cast<std::int32_t>(next_), .left = std::max(r.output, 1)});
    }
  }

  /// Puts prompts, or pieces of them, into the step; those that end with it are the first of the group's list.
  std::size_t AddPrompts(Group& group, plan::StepLoad& load) const {
    double budget = work_.limits.token_budget - load.decoded;
    std::size_t ended = 0;
    for (Sequence& s : group.prompts) {
      const double rest = PromptOf(Of(s)) - s.done;
      const double piece = work_.chunked ? std::min(rest, std::max(1.0, budget)) : rest;
      if (load.pieces > 0 && piece > budget) break;
      load.pieces += 1, load.prompt_tokens += piece, load.prompt_pairs += piece * (s.done + piece / 2);
      budget -= piece, s.done += piece;
      if (piece < rest) break;
      ++ended;
      if (budget <= 0) break;
    }
    return ended;
  }

  void Step(Group& group, double now, bool quiet) {
    plan::StepLoad load;
    const bool decodes = work_.chunked || work_.limits.fuses_prompts || group.prompts.empty();
    if (decodes) {
      load.decoded = static_cast<double>(group.decoding.size());
      for (const Sequence& s : group.decoding) load.cached += s.cached;
    }
    const std::size_t before = group.prompts.size(), ended = AddPrompts(group, load);
    const StageLine::Passage passage = line_.Pass(now, load, quiet);
    Charge(group, passage, decodes, before == 0 ? 0 : ended + (ended < before ? 1 : 0));
    if (decodes && !group.decoding.empty()) served_.gaps.push_back({passage.end - group.answered, load.decoded});
    if (decodes || group.decoding.empty()) group.answered = passage.end;
    group.last = passage.end;
    (load.pieces > 0 ? served_.prompt_seconds : served_.decode_seconds) += passage.busy;
    ++served_.steps, served_.prompt_steps += load.pieces > 0;
    served_.bubble_seconds += passage.bubble;
    if (work_.trace)
      served_.stretches.push_back({passage.start, passage.end, load.pieces > 0 ? Phase::kPrompt : Phase::kDecode});
    served_.end = std::max(served_.end, passage.end);
    if (decodes) Decoded(group);
    for (std::size_t i = 0; i < ended; ++i) FirstToken(group, group.prompts[i]);
    group.prompts.erase(group.prompts.begin(), group.prompts.begin() + static_cast<std::ptrdiff_t>(ended));
  }

  /// The step's bubbles belong to all that took part in it: the first `pieces` prompts, and those that decoded.
  void Charge(const Group& group, const StageLine::Passage& passage, bool decodes, std::size_t pieces) {
    for (std::size_t i = 0; i < pieces; ++i)
      served_.bubbles[static_cast<std::size_t>(group.prompts[i].id)] += passage.bubble;
    if (!decodes) return;
    for (const Sequence& s : group.decoding) served_.bubbles[static_cast<std::size_t>(s.id)] += passage.bubble;
  }

  void Decoded(Group& group) {
    for (std::size_t i = 0; i < group.decoding.size();) {
      Sequence& s = group.decoding[i];
      s.cached += 1;
      if (--s.left > 0) {
        ++i;
        continue;
      }
      Finish(group, s);
      s = group.decoding.back();
      group.decoding.pop_back();
    }
  }

  void FirstToken(Group& group, Sequence s) {
    served_.outcomes[static_cast<std::size_t>(s.id)].first_token = group.last;
    s.cached = PromptOf(Of(s)) + 1;
    if (--s.left > 0) group.decoding.push_back(s);
    else Finish(group, s);
  }

  void Finish(Group& group, const Sequence& s) {
    served_.outcomes[static_cast<std::size_t>(s.id)].finish = group.last;
    group.reserved -= Length(Of(s));
  }

  using Turn = std::pair<double, std::size_t>;  // when a group can go on, and which
  const PipelinedWork& work_;
  StageLine line_;
  Served served_;
  std::vector<Group> groups_;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> ready_;
  std::size_t next_ = 0;
};

}  // namespace

Served Pipelined(const PipelinedWork& work) { return Engine(work).Run(); }

}  // namespace isochrone::sim::serving
