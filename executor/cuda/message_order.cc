#include "executor/cuda/message_order.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"

namespace isochrone::executor::cuda {
namespace {

using plan::Phase;
using plan::Task;

constexpr int kPass = 2;  // units of a forward pass, and of either half of a backward pass

int UnitsOf(Phase phase) {
  switch (phase) {
    case Phase::kBackward:
      return 2 * kPass;
    case Phase::kOverlapped:
      return 3 * kPass;
    case Phase::kForward:
    case Phase::kRecompute:
    case Phase::kBackwardInput:
    case Phase::kBackwardWeight:
      break;
  }
  return kPass;
}

/// A pass of one microbatch through one stage: what another pass may wait for.
struct Pass {
  bool backward = false;
  int direction = 0, stage = 0, microbatch = 0;
  auto operator<=>(const Pass&) const = default;
};

/// Plays the schedule with unit times.
class Play {
 public:
  explicit Play(const plan::Schedule& schedule) : s_(schedule), next_(s_.order.size()), free_(s_.order.size()) {
    ends_.resize(s_.order.size());
    std::size_t left = 0;
    for (const auto& order : s_.order) left += order.size();
    while (left > 0) {
      const std::size_t before = left;
      for (std::size_t rank = 0; rank < s_.order.size(); ++rank) {
        while (next_[rank] < s_.order[rank].size() && TryNext(static_cast<int>(rank))) --left;
      }
      ISO_CHECK_NOTE(left < before, "the schedule cannot be played");
    }
  }

  /// [rank][task], and messages with the instants at which they leave.
  std::vector<std::vector<int>> ends_;
  std::vector<std::pair<int, PipelineMessage>> messages_;

 private:
  /// The passes of a task, each with the stage that it works on.
  std::vector<Pass> PassesOf(int rank, const Task& t) const {
    const auto pass = [&](bool backward, int chunk, int microbatch) {
      return Pass{backward, s_.placement.DirectionOf(rank, chunk), s_.placement.StageOf(rank, chunk), microbatch};
    };
    switch (t.phase) {
      case Phase::kForward:
        return {pass(false, t.chunk, t.microbatch)};
      case Phase::kBackward:
      case Phase::kBackwardInput:
        return {pass(true, t.chunk, t.microbatch)};
      case Phase::kOverlapped:
        return {pass(false, t.chunk, t.microbatch), pass(true, t.chunk_b, t.microbatch_b)};
      case Phase::kRecompute:
      case Phase::kBackwardWeight:
        break;
    }
    return {};
  }

  bool TryNext(int rank) {
    const auto r = static_cast<std::size_t>(rank);
    const Task& task = s_.order[r][next_[r]];
    int start = free_[r];
    const std::vector<Pass> passes = PassesOf(rank, task);
    for (const Pass& p : passes) {
      const int before = p.stage + (p.backward ? 1 : -1);
      if (before < 0 || before >= s_.placement.stages) continue;
      const auto done = done_.find({p.backward, p.direction, before, p.microbatch});
      if (done == done_.end()) return false;
      start = std::max(start, done->second);
    }
    const int end = start + UnitsOf(task.phase);
    free_[r] = end;
    ends_[r].push_back(end);
    ++next_[r];
    for (const Pass& p : passes) {
      done_[p] = end;
      const int after = p.stage + (p.backward ? -1 : 1);
      if (after < 0 || after >= s_.placement.stages) continue;
      const int to = s_.placement.RankOf(p.direction, after);
      if (to != rank) messages_.push_back({end, {p.backward, p.direction, p.stage, p.microbatch, rank, to}});
    }
    return true;
  }

  const plan::Schedule& s_;
  std::vector<std::size_t> next_;
  std::vector<int> free_;
  std::map<Pass, int> done_;
};

bool Before(const std::pair<int, PipelineMessage>& a, const std::pair<int, PipelineMessage>& b) {
  const auto key = [](const std::pair<int, PipelineMessage>& m) {
    return std::tuple(m.first, m.second.from, m.second.to, m.second.backward, m.second.direction, m.second.stage,
                      m.second.microbatch);
  };
  return key(a) < key(b);
}

}  // namespace

std::vector<RankLaunches> OrderMessages(const plan::Schedule& schedule) {
  Play play(schedule);
  std::sort(play.messages_.begin(), play.messages_.end(), Before);
  std::vector<RankLaunches> launches(schedule.order.size());
  for (std::size_t rank = 0; rank < launches.size(); ++rank) {
    std::map<int, MessageGroup> groups;  // by instant
    for (const auto& [instant, m] : play.messages_)
      if (m.from == static_cast<int>(rank) || m.to == static_cast<int>(rank)) groups[instant].push_back(m);
    auto group = groups.begin();
    for (std::size_t task = 0; task < schedule.order[rank].size(); ++task) {
      for (; group != groups.end() && group->first < play.ends_[rank][task]; ++group)
        launches[rank].emplace_back(std::move(group->second));
      launches[rank].emplace_back(static_cast<int>(task));
    }
    for (; group != groups.end(); ++group) launches[rank].emplace_back(std::move(group->second));
  }
  return launches;
}

}  // namespace isochrone::executor::cuda
