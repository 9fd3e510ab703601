#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "executor/communicator.h"
#include "executor/extents.h"
#include "executor/layer_state.h"
#include "executor/operands.h"
#include "executor/options.h"
#include "executor/parameters.h"
#include "executor/report.h"
#include "executor/walk.h"
#include "plan/plan.h"

namespace isochrone::executor {

/// What all ranks of a run share and only read.
struct RunPlan {
  const plan::Scenario* scenario = nullptr;
  const plan::Plan* plan = nullptr;
  const RunOptions* options = nullptr;
  std::vector<Liveness> liveness;               // [program]
  std::vector<Extents> extents;                 // [program]
  std::unique_ptr<const RoutingTable> routing;  // null without experts
};

/// One rank: its shards, its buffers, and the walk through its tasks.
template <class T>
class Rank {
  using Walk = executor::Walk<Rank<T>, Parameter<T>, Memory::Handle>;
  using LayerState = executor::LayerState<Rank<T>, Parameter<T>, typename Walk::Layer>;
  friend Walk;
  friend LayerState;

 public:
  Rank(const RunPlan& run, int rank, Communicator<T>& communicator, Clock& clock, std::function<void()> progress);

  /// Carries out one training step. Where the gradients turn out not to be finite, nothing is updated and the step runs
  /// again with every op's results looked at, so that the error names the op.
  StepRecord Step(int step);
  /// Where updated parameters are gathered at the next step's start: gathers them now.
  void Finish();

  const Memory& memory() const { return memory_; }
  const OpTimes& times() const { return times_; }
  std::vector<Parameter<T>*> Parameters() { return walk_.Parameters(); }
  /// "rank 3, op qkv of layer 2, microbatch 5": what it does now.
  std::string Doing() const;
  bool Reports() const { return at_.tp == 0; }  // one rank of each tensor group adds up losses
  const std::vector<std::string>& names() const { return names_; }

 private:
  using Frame = typename Walk::Frame;
  using Layer = typename Walk::Layer;
  using Slot = typename Walk::Slot;

  // rank.cc: building
  Parameter<T>* AddParameter(Slot& slot, const plan::LayerProgram& program, const plan::Buffer& buffer, int layer);
  void AllocateState(Parameter<T>& p);
  void KeepShares(Parameter<T>& p);
  Memory::Handle Zeros(plan::BufferKind kind, Index n, const std::string& what);

  // rank_state.cc: parameters and gradients that are whole only while a layer works
  void TakeValue(Parameter<T>& p);
  void GatherValues(const std::vector<Parameter<T>*>& parameters, plan::Group group);
  void ReleaseValue(Parameter<T>& p);
  void TakeGradient(Parameter<T>& p);
  void ClearGradient(Parameter<T>& p);
  void ReduceGradients(const std::vector<Parameter<T>*>& parameters, plan::Group group, bool of_shares);
  void KeepGradient(Parameter<T>& p);
  void ReleaseGradient(Parameter<T>& p);

  // rank_collectives.cc: collectives inside layers
  void LayerCollective(const Layer& layer, const plan::Op& op, const plan::Collective& c, const Operands<T>& operands);
  void MergeStatistics(const Operands<T>& operands);
  void AddLoss(const T* statistics, Index tokens);
  void PassOn(const Operands<T>& operands);
  void GatherKeys(const Operands<T>& operands);
  void ScatterKeys(const Operands<T>& operands);
  void ExchangeHeads(const Operands<T>& operands);
  void ExchangeRows(const Operands<T>& operands);
  void ExchangeExpertTensor(const Operands<T>& operands, bool sum);
  double AllToAll(plan::Group group, const std::vector<Index>& sent, const std::vector<Index>& received, Index columns,
                  const T* from, T* to);
  Memory::Handle Scratch(Index elements);

  // rank_tasks.cc: tasks
  void BeginPass();
  void EndPass(const plan::Task& task);
  void EnterLayer(const Layer& layer, plan::Phase phase) { state_.Enter(layer, phase); }
  void LeaveLayer(const Layer& layer, plan::Phase phase) { state_.Leave(layer, phase); }
  const Liveness& LivenessOf(const Layer& layer) const;
  void RunOps(const Layer& layer, Frame& frame, plan::Phase phase, const Releases& releases, int microbatch);
  void RunOp(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch, plan::Phase phase);
  Operands<T> OperandsOf(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch, plan::Phase phase);
  void BindText(const Layer& layer, Frame& frame, int microbatch);
  Memory::Handle NewBuffer(const Layer& layer, int buffer, int microbatch);
  const Routing* RoutingAt(int microbatch);
  Memory::Handle Arriving(const Slot& slot, int chunk, int microbatch, bool backward);
  void Leaving(const Slot& slot, int microbatch, bool backward, Memory::Handle data);

  // rank_step.cc: what surrounds the tasks
  void RunStepOp(const plan::Op& op, int chunk, int part, int parts);
  void RunSide(int after_task);
  void Meet();
  void Reduce(const plan::Op& op, const std::vector<Parameter<T>*>& parameters);
  void Gather(const std::vector<Parameter<T>*>& parameters);
  void AllReduceGradients(plan::Group group, const std::vector<Parameter<T>*>& parameters, plan::Stream stream);
  void AddTiedTables();
  void AddCopies();
  void LocalNorm();
  void Update();
  void ZeroGradients();
  void CheckValues(const Layer& layer, const Frame& frame, const plan::Op& op) const;

  const Team& TeamOf(plan::Group group);
  void Account(plan::Stream stream, const Exchange& exchange);
  void Compute(double seconds, plan::Phase phase);
  bool Counts() const { return step_ > 0 || options_.steps == 1; }  // the first step pays for fresh memory
  int NameIndex(const std::string& name);
  const RunPlan& run_;
  const plan::Plan& plan_;
  const plan::Scenario& scenario_;
  const RunOptions& options_;
  int rank_;
  plan::Coordinates at_;
  Communicator<T>& communicator_;
  Clock& clock_;
  std::function<void()> progress_;
  Memory memory_;
  Workers workers_;
  OpSettings<T> settings_;
  std::map<plan::Group, Team> teams_;
  Walk walk_{*this};
  LayerState state_{*this};
  std::map<int, Routing> routing_;  // [microbatch]
  int ring_messages_ = 0;
  std::map<Tag, Memory::Handle> local_;  // between two stages of this rank
  OpTimes times_;
  StepRecord record_;
  int step_ = 0;
  bool checks_values_ = false;  // the step is run again to find where a value stopped being finite
  double squared_norm_ = 0;
  double worked_ = 0;  // seconds that the last collective worked
  double mark_ = 0;    // until here the clock is accounted for, within a pass
  double pass_start_ = 0;
  std::vector<std::string> names_;
  std::string doing_;
};

}  // namespace isochrone::executor
