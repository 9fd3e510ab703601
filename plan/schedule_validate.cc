// Whether a schedule can be played: counts, circles, and the order of messages.
#include <map>
#include <utility>

#include "base/error.h"
#include "plan/schedule.h"

namespace isochrone::plan {

namespace {

enum Seen : std::uint8_t { kSeenForward = 1, kSeenFull = 2, kSeenInput = 4, kSeenWeight = 8 };

class Validator {
 public:
  explicit Validator(const Schedule& schedule)
      : schedule_(schedule), placement_(schedule.placement), seen_(Cells(), 0) {}

  void Run() {
    CheckPlacement();
    CountPasses();
    Play();
    MatchMessages();
  }

 private:
  /// A pass that someone waits for.
  struct Need {
    int slot = -1, microbatch = 0;
    bool forward = true;
  };

  std::size_t Cells() const {
    return static_cast<std::size_t>(placement_.ranks) * placement_.chunks * schedule_.microbatches;
  }
  std::size_t Cell(int slot, int microbatch) const {
    return static_cast<std::size_t>(slot) * schedule_.microbatches + microbatch;
  }
  int SlotOf(int rank, int chunk) const { return rank * placement_.chunks + chunk; }
  int Neighbour(int slot, int step) const {
    const int stage = placement_.stage[slot] + step;
    return stage < 0 || stage >= placement_.stages ? -1 : placement_.SlotOf(placement_.direction[slot], stage);
  }

  [[noreturn]] void Fail(const std::string& where, const std::string& fault, const std::string& instead) const {
    throw Error("schedule " + NameOf(schedule_.kind) + ": " + where, fault, instead);
  }
  [[noreturn]] void FailTask(int rank, const Task& task, const std::string& fault, const std::string& instead) const {
    Fail("rank " + std::to_string(rank) + ", " + Print(task), fault, instead);
  }

  void CheckPlacement() const {
    const std::size_t slots = static_cast<std::size_t>(placement_.ranks) * placement_.chunks;
    const bool sizes = schedule_.microbatches >= 1 && placement_.ranks >= 1 && placement_.chunks >= 1 &&
                       placement_.directions * placement_.stages == static_cast<int>(slots) &&
                       placement_.stage.size() == slots && placement_.direction.size() == slots &&
                       placement_.slot.size() == slots &&
                       schedule_.order.size() == static_cast<std::size_t>(placement_.ranks);
    if (!sizes) Fail("placement", "does not have one stage per rank and chunk", "place each stage once");
    for (std::size_t slot = 0; slot < slots; ++slot) {
      const int stage = placement_.stage[slot], direction = placement_.direction[slot];
      if (stage < 0 || stage >= placement_.stages || direction < 0 || direction >= placement_.directions ||
          placement_.SlotOf(direction, stage) != static_cast<int>(slot))
        Fail("placement", "does not place each stage once", "place each stage once");
    }
  }

  void Mark(int rank, const Task& task, int chunk, int microbatch, Seen what) {
    if (chunk >= placement_.chunks || microbatch < 0 || microbatch >= schedule_.microbatches)
      FailTask(rank, task, "is outside the schedule",
               "it has " + std::to_string(placement_.chunks) + " chunks a rank and " +
                   std::to_string(schedule_.microbatches) + " microbatches, counted from 0");
    std::uint8_t& seen = seen_[Cell(SlotOf(rank, chunk), microbatch)];
    const bool twice = (seen & what) != 0 || (what == kSeenFull && (seen & (kSeenInput | kSeenWeight)) != 0) ||
                       ((what == kSeenInput || what == kSeenWeight) && (seen & kSeenFull) != 0);
    if (twice) FailTask(rank, task, "runs the same pass a second time", "run each pass once");
    seen |= what;
  }

  /// Each microbatch takes one direction and passes each of its stages once per phase.
  void CountPasses() {
    for (int rank = 0; rank < placement_.ranks; ++rank) {
      for (const Task& task : schedule_.order[rank]) {
        if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped)
          Mark(rank, task, task.chunk, task.microbatch, kSeenForward);
        if (task.phase == Phase::kOverlapped) Mark(rank, task, task.chunk_b, task.microbatch_b, kSeenFull);
        if (task.phase == Phase::kBackward) Mark(rank, task, task.chunk, task.microbatch, kSeenFull);
        if (task.phase == Phase::kBackwardInput) Mark(rank, task, task.chunk, task.microbatch, kSeenInput);
        if (task.phase == Phase::kBackwardWeight) Mark(rank, task, task.chunk, task.microbatch, kSeenWeight);
      }
    }
    for (int microbatch = 0; microbatch < schedule_.microbatches; ++microbatch) {
      int directions = 0;
      for (int direction = 0; direction < placement_.directions; ++direction) {
        bool any = false;
        for (int stage = 0; stage < placement_.stages; ++stage)
          any = any || seen_[Cell(placement_.SlotOf(direction, stage), microbatch)] != 0;
        if (!any) continue;
        ++directions;
        for (int stage = 0; stage < placement_.stages; ++stage) CheckWhole(direction, stage, microbatch);
      }
      if (directions != 1)
        Fail("microbatch " + std::to_string(microbatch),
             directions == 0 ? "is run by no rank" : "flows in both directions", "run it once, in one direction");
    }
  }

  void CheckWhole(int direction, int stage, int microbatch) const {
    const int slot = placement_.SlotOf(direction, stage);
    const std::uint8_t seen = seen_[Cell(slot, microbatch)];
    const bool backward = (seen & kSeenFull) != 0 || (seen & (kSeenInput | kSeenWeight)) == (kSeenInput | kSeenWeight);
    if ((seen & kSeenForward) != 0 && backward) return;
    const std::string lacks = (seen & kSeenForward) == 0  ? "forward pass"
                              : (seen & kSeenInput) != 0  ? "weight half of the backward pass (W)"
                              : (seen & kSeenWeight) != 0 ? "input half of the backward pass (I)"
                                                          : "backward pass";
    Fail("rank " + std::to_string(slot / placement_.chunks) + ", microbatch " + std::to_string(microbatch) +
             ", chunk " + std::to_string(slot % placement_.chunks),
         "lacks the " + lacks, "run F, and B or both I and W, once each");
  }

  bool Done(const Need& need) const {
    return need.slot < 0 || (done_[Cell(need.slot, need.microbatch)] & (need.forward ? 1 : 2)) != 0;
  }

  /// The first pass that `task` of `rank` still waits for; slot −1 if none.
  Need Missing(int rank, const Task& task) const {
    Need needs[4];
    int n = 0;
    const auto backward = [&](int chunk, int microbatch) {
      const int slot = SlotOf(rank, chunk);
      needs[n++] = {slot, microbatch, true};
      needs[n++] = {Neighbour(slot, +1), microbatch, false};
    };
    const int slot = SlotOf(rank, task.chunk);
    if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped)
      needs[n++] = {Neighbour(slot, -1), task.microbatch, true};
    if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) backward(task.chunk, task.microbatch);
    if (task.phase == Phase::kOverlapped) backward(task.chunk_b, task.microbatch_b);
    if (task.phase == Phase::kBackwardWeight) needs[n++] = {slot, task.microbatch, false};
    if (task.phase == Phase::kRecompute) needs[n++] = {slot, task.microbatch, true};
    for (int i = 0; i < n; ++i)
      if (!Done(needs[i])) return needs[i];
    return {};
  }

  /// Runs `rank` until it waits.
  bool Advance(int rank) {
    bool moved = false;
    const auto& order = schedule_.order[rank];
    for (auto& at = position_[rank]; at < order.size(); ++at, moved = true) {
      const Task& task = order[at];
      if (Missing(rank, task).slot >= 0) break;
      const std::size_t cell = Cell(SlotOf(rank, task.chunk), task.microbatch);
      if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped) done_[cell] |= 1;
      if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput) done_[cell] |= 2;
      if (task.phase == Phase::kOverlapped) done_[Cell(SlotOf(rank, task.chunk_b), task.microbatch_b)] |= 2;
    }
    return moved;
  }

  void Play() {
    done_.assign(Cells(), 0);
    position_.assign(placement_.ranks, 0);
    std::vector<int> ready;
    for (int rank = placement_.ranks - 1; rank >= 0; --rank) ready.push_back(rank);
    while (!ready.empty()) {
      const int rank = ready.back();
      ready.pop_back();
      if (!Advance(rank)) continue;
      for (int chunk = 0; chunk < placement_.chunks; ++chunk) {
        for (const int step : {-1, +1}) {
          const int slot = Neighbour(SlotOf(rank, chunk), step);
          if (slot >= 0 && slot / placement_.chunks != rank) ready.push_back(slot / placement_.chunks);
        }
      }
    }
    for (int rank = 0; rank < placement_.ranks; ++rank)
      if (position_[rank] < schedule_.order[rank].size()) ReportCircle(rank);
  }

  /// Every stuck rank waits for one pass of a stuck rank, so following them from any of them meets a circle.
  [[noreturn]] void ReportCircle(int start) const {
    std::vector<int> visit(placement_.ranks, -1), path;
    int rank = start;
    while (visit[rank] < 0) {
      visit[rank] = static_cast<int>(path.size());
      path.push_back(rank);
      rank = Missing(rank, schedule_.order[rank][position_[rank]]).slot / placement_.chunks;
    }
    std::string fault = "no rank can move";
    for (std::size_t i = visit[rank]; i < path.size(); ++i) {
      const Task& task = schedule_.order[path[i]][position_[path[i]]];
      const Need need = Missing(path[i], task);
      Task other;
      other.phase = need.forward ? Phase::kForward : Phase::kBackward;
      other.microbatch = need.microbatch;
      other.chunk = static_cast<std::uint8_t>(need.slot % placement_.chunks);
      fault += "\nrank " + std::to_string(path[i]) + " waits at " + Print(task) + " for " + Print(other) + " of rank " +
               std::to_string(need.slot / placement_.chunks);
    }
    Fail("rank " + std::to_string(rank), fault, "move one of these passes to an earlier place in its rank's order");
  }

  struct Transfer {
    int slot, microbatch;  // of the receiver
    bool operator==(const Transfer&) const = default;
  };
  struct Channel {
    int from, to;
    bool activations;
    auto operator<=>(const Channel&) const = default;
  };

  /// Receives take the messages of their pair of ranks, activations and gradients apart, in the order of the sends.
  void MatchMessages() const {
    std::map<Channel, std::vector<Transfer>> sent, received;
    for (int rank = 0; rank < placement_.ranks; ++rank) {
      const auto pass = [&](int chunk, int microbatch, bool forward) {
        const int slot = SlotOf(rank, chunk), next = Neighbour(slot, forward ? +1 : -1),
                  previous = Neighbour(slot, forward ? -1 : +1);
        if (next >= 0 && next / placement_.chunks != rank)
          sent[{rank, next / placement_.chunks, forward}].push_back({next, microbatch});
        if (previous >= 0 && previous / placement_.chunks != rank)
          received[{previous / placement_.chunks, rank, forward}].push_back({slot, microbatch});
      };
      for (const Task& task : schedule_.order[rank]) {
        if (task.phase == Phase::kForward || task.phase == Phase::kOverlapped) pass(task.chunk, task.microbatch, true);
        if (task.phase == Phase::kBackward || task.phase == Phase::kBackwardInput)
          pass(task.chunk, task.microbatch, false);
        if (task.phase == Phase::kOverlapped) pass(task.chunk_b, task.microbatch_b, false);
      }
    }
    for (const auto& [channel, transfers] : sent) {
      const auto& others = received[channel];
      for (std::size_t i = 0; i < transfers.size(); ++i)
        if (!(transfers[i] == others[i])) FailOrder(channel, transfers[i], others[i]);
    }
  }

  [[noreturn]] void FailOrder(const Channel& channel, const Transfer& sent, const Transfer& expected) const {
    const auto name = [&](const Transfer& transfer) {
      return "microbatch " + std::to_string(transfer.microbatch) + " for chunk " +
             std::to_string(transfer.slot % placement_.chunks);
    };
    Fail("messages from rank " + std::to_string(channel.from) + " to rank " + std::to_string(channel.to),
         std::string(channel.activations ? "activations" : "gradients") + " of " + name(sent) +
             " are sent where those of " + name(expected) + " are received",
         "run both ranks' passes in the same order; messages carry no tags");
  }

  const Schedule& schedule_;
  const Placement& placement_;
  std::vector<std::uint8_t> seen_;     // bits of Seen
  std::vector<std::uint8_t> done_;     // 1: forward, 2: backward
  std::vector<std::size_t> position_;  // [rank]
};

}  // namespace

void Validate(const Schedule& schedule) { Validator(schedule).Run(); }

}  // namespace isochrone::plan
