#pragma once

#include <vector>

#include "plan/collectives/step_list.h"

namespace isochrone::plan::collectives {

/// Lists messages step by step. A rank's message comes after the last one that the rank sent and the last one that it
/// received, both in an earlier step. So every rank's sends are one chain, and what it received before an earlier
/// send is behind it.
class StepBuilder {
 public:
  StepBuilder(int ranks, int blocks) : list_(ranks, blocks), sent_(ranks, -1), received_(ranks, -1) {}

  void Send(int src, int dst, int first_block, int blocks, Effect effect);
  void EndStep();
  StepList Take() { return std::move(list_); }

 private:
  StepList list_;
  std::vector<int> sent_, received_;  // per rank: index of the last message before this step
  int step_ = 0, first_of_step_ = 0;
};

}  // namespace isochrone::plan::collectives
