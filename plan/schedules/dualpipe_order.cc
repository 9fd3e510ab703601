#include "plan/schedules/dualpipe_order.h"

#include <deque>

namespace isochrone::plan::schedules {

namespace {

constexpr bool kNear = false, kFar = true;

/// Appends passes and counts the microbatches of each chunk.
class Writer {
 public:
  void Forward(bool far) { passes_.push_back({Phase::kForward, far, false, forward_[far]++, 0}); }
  void Backward(bool far) { passes_.push_back({Phase::kBackward, far, false, backward_[far]++, 0}); }
  void Input(bool far) {
    pending_.push_back({Phase::kBackwardWeight, far, false, backward_[far], 0});
    passes_.push_back({Phase::kBackwardInput, far, false, backward_[far]++, 0});
  }
  void Weight() {
    passes_.push_back(pending_.front());
    pending_.pop_front();
  }
  void Both(bool far, bool far_b) {
    passes_.push_back({Phase::kOverlapped, far, far_b, forward_[far]++, backward_[far_b]++});
  }
  std::vector<DualPass> Take() { return std::move(passes_); }

 private:
  int forward_[2] = {0, 0}, backward_[2] = {0, 0};
  std::deque<DualPass> pending_;
  std::vector<DualPass> passes_;
};

}  // namespace

std::vector<DualPass> DualPipeOrder(int half, int rank, int n) {
  Writer write;
  const int inner = half - rank - 1;  // ranks between this one and the middle
  for (int i = 0; i < 2 * inner; ++i) write.Forward(kNear);
  for (int i = 0; i < rank + 1; ++i) {
    write.Forward(kNear);
    write.Forward(kFar);
  }
  for (int i = 0; i < inner; ++i) {
    write.Input(kFar);
    write.Weight();
    write.Forward(kFar);
  }
  for (int i = 0; i < n - 2 * half + rank + 1; ++i) {
    if (i == 0 && inner == 0) {  // apart, so that the next rank waits less for the forward pass
      write.Forward(kNear);
      write.Backward(kFar);
    } else {
      write.Both(kNear, kFar);
    }
    write.Both(kFar, kNear);
  }
  for (int i = 0; i < inner; ++i) {
    write.Backward(kFar);
    write.Both(kFar, kNear);
  }
  const int whole = rank + 1;  // of these 2 (rank + 1) backward passes the first half are whole, the rest split
  for (int i = 0; i < 2 * (rank + 1); ++i) {
    const bool far = i % 2 == 0;
    if (i < whole) write.Backward(far);
    else write.Input(far);
  }
  for (int i = 0; i < inner; ++i) {
    write.Weight();
    write.Input(kNear);
  }
  for (int i = 0; i < rank + 1; ++i) write.Weight();
  return write.Take();
}

ScheduleTheory DualPipeTheory(int half, int n, const StageCosts& costs) {
  const Seconds sum = StageTime(costs), both = costs.overlapped > Seconds(0) ? costs.overlapped : sum;
  const Seconds input = Max(costs.backward_input, costs.backward_weight), forward = Max(costs.forward, input);
  const bool exact = costs.forward == forward && costs.backward_input == input && both <= sum &&
                     both >= costs.forward + costs.backward_input;
  const Seconds stage = exact ? sum : forward + input + costs.backward_weight;
  const Seconds pair = exact ? both : Max(both, stage);
  const Seconds makespan = (2 * half + 1) * stage + (2 * n - 2 * half - 1) * pair +
                           (half - 1) * (pair + forward - 2 * costs.backward_weight);
  const int fewest = half == 1 ? 2 * n - 3 : 2 * n - 3 * half + 1, most = 2 * n - 2 * half - 1;  // overlapped pairs
  const Seconds ideal = 2 * n * sum - (both < sum ? fewest : most) * (sum - both);
  return {exact, makespan, makespan, ideal, double(2 * half + 1)};
}

}  // namespace isochrone::plan::schedules
