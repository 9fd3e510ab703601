#pragma once

#include <vector>

#include "sim/event.h"
#include "sim/side.h"

namespace isochrone::sim {

/// What makes one pipeline slower than its costs say; Disturb fills it.
struct Slowdown {
  std::vector<std::vector<float>> factor;  // [rank][position in its order]
  struct Pause {
    int rank;
    double at, length;  // seconds
  };
  std::vector<Pause> pauses;

  /// Changes when a task that would start at `start` and take `work` starts and how long it takes.
  void Apply(int rank, std::size_t position, double& start, double& work) const {
    work *= factor[rank][position];
    for (const Pause& pause : pauses) {
      if (pause.rank != rank || start + work <= pause.at || start >= pause.at + pause.length) continue;
      if (start >= pause.at) start = pause.at + pause.length;
      else work += pause.length;
    }
  }
};

/// Seconds that a task of `rank` takes.
double WorkOf(const StepCosts& costs, const plan::Placement& placement, int rank, const plan::Task& task);

/// The engine behind Simulate, for those who play one plan with many costs: everything is sized once, playing allocates
/// the result only. `plan` must outlive it.
class StepPlayer {
 public:
  explicit StepPlayer(const plan::Plan& plan);

  StepResult Play(const StepCosts& costs, bool with_timeline, const Slowdown* slowdown = nullptr);
  double SteadyPeriod(const StepCosts& costs);

 private:
  /// A slot's neighbours in its direction, −1 where there is none; the rank −1 too where it is the slot's own.
  struct SlotLinks {
    int previous = -1, next = -1, previous_rank = -1, next_rank = -1;
    double forward_in = 0, forward_out = 0, backward_in = 0, backward_out = 0;  // seconds of messages
  };
  struct RankState {
    double begin = 0;                 // start of the first task
    double free = 0;                  // end of the task before
    double sending = 0;               // until when its messages leave
    const double* waiting = nullptr;  // cell of the input that it lacks
    std::size_t position = 0;
    RankUse use;
  };
  struct Input {
    const double* cell;  // when the message leaves (kBlocking) or arrives (kOverlapped); negative: not yet known
    double message;
  };

  void TakeCosts(const StepCosts& costs);
  void PlayFrom(const std::vector<double>& start, plan::Timeline* timeline);
  template <bool kBlocking>
  void PlayTasks(plan::Timeline* timeline);
  template <bool kBlocking>
  void Advance(int rank, plan::Timeline* timeline);
  template <bool kBlocking>
  static double StartOf(RankState& state, const Input* inputs, int count);
  template <bool kBlocking>
  void Send(int rank, const plan::Task& task, double* cell, int to, double message, plan::Timeline* timeline);
  int InputsOf(int rank, const plan::Task& task, Input* inputs) const;
  std::size_t Cell(int slot, int microbatch) const {
    return static_cast<std::size_t>(slot) * microbatches_ + microbatch;
  }

  const plan::Plan& plan_;
  const StepCosts* costs_ = nullptr;
  const Slowdown* slowdown_ = nullptr;
  int ranks_, chunks_, microbatches_;
  std::vector<SlotLinks> slots_;
  std::vector<RankState> state_;
  std::vector<SideStreams> side_;
  std::vector<double> forward_, gradient_;  // cells [slot · microbatches + microbatch]
  std::vector<double> end_;                 // [rank]
  std::vector<int> ready_;                  // ranks that may move
};

}  // namespace isochrone::sim
