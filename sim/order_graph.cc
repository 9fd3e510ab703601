#include "sim/order_graph.h"

#include "base/error.h"

namespace isochrone::sim {

using plan::Phase;

namespace {

bool IsForward(Phase phase) { return phase == Phase::kForward || phase == Phase::kOverlapped; }
bool TakesGradient(Phase phase) { return phase == Phase::kBackward || phase == Phase::kBackwardInput; }

}  // namespace

/// Lists the tasks of all ranks so that each follows what it waits for.
class OrderGraph::Builder {
 public:
  Builder(const plan::Schedule& schedule, OrderGraph& graph)
      : schedule_(schedule),
        place_(schedule.placement),
        graph_(graph),
        position_(schedule.order.size(), 0),
        work_(place_.slot.size() * (plan::kPhases + place_.chunks), -1) {
    const std::size_t cells = place_.slot.size() * static_cast<std::size_t>(schedule.microbatches);
    forward_.assign(cells, kUnknown);
    gradient_.assign(cells, kUnknown);
    graph_.last_task_.assign(schedule.order.size(), -1);
    graph_.last_message_.assign(schedule.order.size(), -1);
    graph_.sends_.push_back(0);
  }

  void Run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int rank = 0; rank < place_.ranks; ++rank) {
        const auto& order = schedule_.order[rank];
        for (; position_[rank] < order.size() && Take(rank, order[position_[rank]]); ++position_[rank]) moved = true;
      }
    }
    for (int rank = 0; rank < place_.ranks; ++rank)
      ISO_CHECK_NOTE(position_[rank] == schedule_.order[rank].size(), "a valid schedule came to a halt");
  }

 private:
  static constexpr int kUnknown = -2, kOwn = -1;  // kOwn: made on the same rank, no message

  std::size_t Cell(int slot, int microbatch) const {
    return static_cast<std::size_t>(slot) * schedule_.microbatches + microbatch;
  }
  /// The slot that `slot`'s activations come from (step −1) or its gradients (step 1); −1 at the end.
  int Neighbour(int slot, int step) const {
    const int stage = place_.stage[slot] + step;
    return stage < 0 || stage >= place_.stages ? -1 : place_.SlotOf(place_.direction[slot], stage);
  }
  bool Crosses(int slot, int neighbour) const {
    return neighbour >= 0 && neighbour / place_.chunks != slot / place_.chunks;
  }

  int WorkOf(int slot, const plan::Task& task) {
    const bool pair = task.phase == Phase::kOverlapped;
    const int key =
        slot * (plan::kPhases + place_.chunks) + (pair ? plan::kPhases + task.chunk_b : static_cast<int>(task.phase));
    if (work_[key] < 0) {
      work_[key] = static_cast<int>(graph_.works_.size());
      const int back = slot / place_.chunks * place_.chunks + task.chunk_b;
      graph_.works_.push_back(
          {slot / place_.chunks, place_.stage[slot], pair ? place_.stage[back] : -1, task.phase, 0});
    }
    ++graph_.works_[work_[key]].tasks;
    return work_[key];
  }

  /// Adds the task; false where it waits for one that is not listed yet.
  bool Take(int rank, const plan::Task& task) {
    const int slot = rank * place_.chunks + task.chunk;
    const bool pair = task.phase == Phase::kOverlapped;
    const int back = pair ? rank * place_.chunks + task.chunk_b : slot;
    OrderGraph::Task node{rank, 0, task.microbatch, graph_.last_task_[rank], graph_.last_message_[rank], {-1, -1}};
    int* input = node.inputs;
    if (IsForward(task.phase) && !Await(forward_, Neighbour(slot, -1), task.microbatch, input)) return false;
    if ((pair || TakesGradient(task.phase)) &&
        !Await(gradient_, Neighbour(back, 1), pair ? task.microbatch_b : task.microbatch, input))
      return false;
    node.work = WorkOf(slot, task);
    graph_.last_task_[rank] = static_cast<int>(graph_.tasks_.size());
    graph_.tasks_.push_back(node);
    if (IsForward(task.phase)) Send(forward_, slot, Neighbour(slot, 1), task.microbatch);
    if (pair || TakesGradient(task.phase))
      Send(gradient_, back, Neighbour(back, -1), pair ? task.microbatch_b : task.microbatch);
    graph_.sends_.push_back(static_cast<int>(graph_.messages_.size()));
    return true;
  }

  bool Await(const std::vector<int>& cells, int from, int microbatch, int*& input) const {
    if (from < 0) return true;
    const int message = cells[Cell(from, microbatch)];
    if (message == kUnknown) return false;
    if (message >= 0) *input++ = message;
    return true;
  }

  void Send(std::vector<int>& cells, int slot, int to, int microbatch) {
    int& cell = cells[Cell(slot, microbatch)];
    cell = kOwn;
    if (!Crosses(slot, to)) return;
    const int rank = slot / place_.chunks;
    cell = static_cast<int>(graph_.messages_.size());
    graph_.messages_.push_back({graph_.last_task_[rank], graph_.last_message_[rank]});
    graph_.last_message_[rank] = cell;
  }

  const plan::Schedule& schedule_;
  const plan::Placement& place_;
  OrderGraph& graph_;
  std::vector<std::size_t> position_;
  std::vector<int> work_;                // [slot and kind] index, −1: none yet
  std::vector<int> forward_, gradient_;  // [slot · microbatches + microbatch] message, kOwn or kUnknown
};

OrderGraph::OrderGraph(const plan::Schedule& schedule)
    : shape_{schedule.kind, schedule.placement.ranks, schedule.placement.chunks, schedule.microbatches},
      directions_(schedule.placement.directions) {
  std::size_t tasks = 0;
  for (const auto& order : schedule.order) tasks += order.size();
  tasks_.reserve(tasks);
  sends_.reserve(tasks + 1);
  messages_.reserve(tasks);
  Builder(schedule, *this).Run();
}

}  // namespace isochrone::sim
