#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "executor/clock.h"
#include "executor/cuda/device_experts.h"
#include "executor/cuda/device_memory.h"
#include "executor/cuda/held.h"
#include "executor/cuda/loss_scale.h"
#include "executor/cuda/message_order.h"
#include "executor/cuda/queues.h"
#include "executor/cuda/timings.h"
#include "executor/extents.h"
#include "executor/layer_state.h"
#include "executor/options.h"
#include "executor/packed_heads.h"
#include "executor/parameters.h"
#include "executor/report.h"
#include "executor/rows.h"
#include "executor/walk.h"
#include "plan/plan.h"
#include "plan/scenario.h"

namespace isochrone::executor::cuda {

/// What all ranks of a run on GPUs share and only read.
struct DevicePlan {
  const plan::Scenario* scenario = nullptr;
  const plan::Plan* plan = nullptr;
  const RunOptions* options = nullptr;
  std::vector<Liveness> liveness;               // [program]
  std::vector<RankLaunches> launches;           // [pipeline rank]
  std::vector<Extents> extents;                 // [program]
  std::unique_ptr<const RoutingTable> routing;  // null without experts
  Format format = Format::kFloat;               // of weights and activations
  Arithmetic arithmetic = Arithmetic::kFloat;
};
/// Throws Error naming key and remedy for what the CUDA executor does not run.
DevicePlan PrepareDevicePlan(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options);

/// One parameter on the device. `shape` says where it lies in the full tensor, and holds no memory.
struct DeviceParameter {
  Parameter<float> shape;
  DeviceMemory::Handle value, gradient, first_moment, second_moment;
  DeviceMemory::Handle value_share, gradient_share;  // as in Parameter
  DeviceMemory::Handle master;  // what this rank owns of the value, in float, where the value has fewer bits

  DeviceMemory::Block* KeptValue() const { return (value_share ? value_share : value).get(); }
  template <class T>
  T* OwnedValue() const {
    return value_share ? value_share->As<T>() : value->As<T>() + shape.first_owned;
  }
  /// All of the gradient that this rank keeps: its share, or the whole.
  DeviceMemory::Block* KeptGradient() const { return (gradient_share ? gradient_share : gradient).get(); }
  Index KeptGradients() const { return gradient_share ? shape.owned : shape.Count(); }
  float* OwnedGradient() const {
    return gradient_share ? gradient_share->As<float>() : gradient->As<float>() + shape.first_owned;
  }
  /// What the optimizer updates.
  float* OwnedMaster() const { return master ? master->As<float>() : OwnedValue<float>(); }
  DeviceMemory::Block* MasterBlock() const { return master ? master.get() : KeptValue(); }
};

inline Parameter<float>& ShapeOf(DeviceParameter& parameter) { return parameter.shape; }
inline const std::string& KeyOf(const DeviceParameter& parameter) { return parameter.shape.key; }

/// One rank with one GPU. In bf16 and fp16, values and activations have two bytes; sums, statistics, gradients of
/// parameters and what the optimizer updates are float, and with fp16 gradients are scaled (see loss_scale.h). Where
/// executor/rank.h waits, this one launches: a step is put on streams as a whole, and the host waits once, at its end.
class DeviceRank {
  using Walk = executor::Walk<DeviceRank, DeviceParameter, DeviceMemory::Handle>;
  using LayerState = executor::LayerState<DeviceRank, DeviceParameter, Walk::Layer>;
  friend Walk;
  friend LayerState;

 public:
  DeviceRank(const DevicePlan& run, int rank, Calls& calls);
  ~DeviceRank();
  DeviceRank(const DeviceRank&) = delete;
  DeviceRank& operator=(const DeviceRank&) = delete;

  /// Launches one training step.
  void Launch(int step);
  /// Waits for it. Throws Error where loss or gradients are not finite, or a peer has failed.
  void Collect();
  /// Where updated parameters are gathered at the next step's start: launches that now.
  void Finish();
  /// What the rank saw. After Finish of all ranks.
  RankReport Report();
  std::string Doing() const;

 private:
  using Handle = DeviceMemory::Handle;
  using Block = DeviceMemory::Block;
  using Frame = Walk::Frame;
  using Layer = Walk::Layer;
  using Slot = Walk::Slot;
  using MessageKey = std::tuple<bool, int, int, int>;  // backward, direction, stage that made it, microbatch
  /// One op on its buffers, in the order that plan/tape.h documents.
  struct Operands {
    const plan::Op* op = nullptr;
    const Layer* layer = nullptr;
    std::vector<Block*> in, out;
    std::vector<bool> fresh;  // [out] made for this op; else another op of the pass has written part of it
    RowsAt rows;
    bool backward = false;                   // the op belongs to a backward pass
    const DeviceRouting* routing = nullptr;  // of this microbatch, where the model has experts
    std::uint64_t sequence = 0;              // of random numbers: layer, op and step
    template <class T>
    T* In(std::size_t i) const {
      return in.at(i)->As<T>();
    }
    const std::int32_t* Ids(std::size_t i) const { return In<std::int32_t>(i); }
    template <class T>
    T* Out(std::size_t i) const {
      return out.at(i)->As<T>();
    }
    const plan::Buffer& InBuffer(std::size_t i) const {
      return layer->program->buffers[static_cast<std::size_t>(op->in.at(i))];
    }
    const plan::Buffer& OutBuffer(std::size_t i) const {
      return layer->program->buffers[static_cast<std::size_t>(op->out.at(i))];
    }
  };

  // device_rank.cc: building
  void BuildComms();
  DeviceParameter* AddParameter(Slot& slot, const plan::LayerProgram& program, const plan::Buffer& buffer, int layer);
  void Upload(const DeviceParameter& parameter);
  void Send(Block& to, const void* from, std::size_t bytes);
  Handle Zeros(plan::BufferKind kind, std::size_t bytes, const std::string& what);
  template <class N>
  Handle FromHost(plan::BufferKind kind, const std::vector<N>& values, const std::string& what) {
    Handle block = memory_.Allocate(kind, values.size() * sizeof(N), what);
    Send(*block, values.data(), block->Bytes());
    return block;
  }
  std::vector<float> ToHost(const Block& block);
  void WriteText();

  // device_launch.cc: waits for what the blocks' last users did, calls `launch`, notes the use
  void Enqueue(plan::Stream stream, const std::vector<Block*>& reads, const std::vector<Block*>& writes,
               const std::function<void(Stream)>& launch);
  void RunKernels(const std::string& name, const std::vector<Block*>& reads, const std::vector<Block*>& writes,
                  std::function<void(Stream)> launch, plan::Stream stream = plan::Stream::kCompute);
  void MultiplyOn(const std::string& name, const Matmul& matmul, const std::vector<Block*>& reads, Block* result);
  void CopyOn(Block* to, Block* from, std::size_t bytes);
  void ZeroOn(Block* block);
  /// One group of collectives, one for each parameter, on the block that `which` names.
  void Together(plan::Stream stream, const std::vector<DeviceParameter*>& parameters,
                Block* (*which)(const DeviceParameter&),
                const std::function<void(const DeviceParameter&, Block*, Stream)>& call);
  template <class From, class To>
  void CastOn(Index n, Block* from, Block* to);
  template <class T>
  Handle Workspace(Index numbers, const std::string& what) {
    return memory_.Allocate(plan::BufferKind::kWorkspace, static_cast<std::size_t>(numbers) * sizeof(T), what);
  }
  /// Where a kernel whose results are float puts them for a block of T; null: into the block itself.
  template <class T>
  Handle WideOf(Index numbers) {
    return std::is_same_v<T, float> ? nullptr : Workspace<float>(numbers, "results in float");
  }
  /// A result of an op that kernels add to in float: the block itself, or one that RoundSums rounds to it.
  struct Sums {
    Handle wide;
    Block* block = nullptr;
    Index numbers = 0;
    float* Data() const { return block->As<float>(); }
  };
  template <class T>
  Sums SumsOf(const Operands& o, std::size_t i, Index numbers);
  template <class T>
  void RoundSums(const Operands& o, std::size_t i, const Sums& sums);
  /// Columns of rows: where the first lies in a block, and the length of the block's rows, in numbers.
  struct Columns {
    Block* block;
    Index at, pitch;
  };
  template <class T>
  void CopyColumns(Index rows, Index columns, const Columns& from, const Columns& to);

  // device_tasks.cc: tasks and messages
  void BeginPass() {}
  void EndPass(const plan::Task&) {}
  void EnterLayer(const Layer& layer, plan::Phase phase) { state_.Enter(layer, phase); }
  void LeaveLayer(const Layer& layer, plan::Phase phase);
  const Liveness& LivenessOf(const Layer& layer) const;
  void RunOps(const Layer& layer, Frame& frame, plan::Phase phase, const Releases& releases, int microbatch);
  Operands OperandsOf(const Layer& layer, Frame& frame, const plan::Op& op, int microbatch, plan::Phase phase);
  void BindText(const Layer& layer, Frame& frame, int microbatch);
  Handle NewBuffer(const Layer& layer, int buffer, int microbatch);
  const DeviceRouting* RoutingAt(int microbatch) const;
  void Exchange(const MessageGroup& group);
  const plan::Buffer& BufferOf(const PipelineMessage& message, int chunk) const;
  Handle Arriving(const Slot& slot, int chunk, int microbatch, bool backward);
  void Leaving(const Slot& slot, int microbatch, bool backward, Handle data);

  // device_state.cc: parameters and gradients that are whole only while a layer works
  void MoveState(const Layer& layer, const plan::Op& op);
  void TakeValue(DeviceParameter& p);
  void GatherValues(const std::vector<DeviceParameter*>& parameters, plan::Group group);
  void ReleaseValue(DeviceParameter& p) { p.value.reset(); }
  void TakeGradient(DeviceParameter& p);
  void ClearGradient(DeviceParameter& p) { ZeroOn(p.gradient.get()); }
  void ReduceGradients(const std::vector<DeviceParameter*>& parameters, plan::Group group, bool of_shares);
  void KeepGradient(DeviceParameter& p);
  void ReleaseGradient(DeviceParameter& p) { reduced_.push_back(std::move(p.gradient)); }

  // device_ops.cc: ops, on buffers of numbers of type T; statistics and gradients of parameters are float
  void RunOp(const Operands& o);
  template <class T>
  void RunOpIn(const Operands& o);
  template <class T>
  void RunGemm(const plan::Gemm& g, const Operands& o);
  template <class T>
  void RunAttentionProduct(const plan::Gemm& g, const Operands& o);
  template <class T>
  void RunAttention(const plan::Attention& a, const Operands& o);
  template <class T>
  void RunSoftmax(const plan::Softmax& s, const Operands& o);
  template <class T>
  void RunNormalization(const plan::Normalization& n, const Operands& o);
  template <class T>
  void RunEmbedding(const plan::Embedding& e, const Operands& o);
  template <class T>
  void RunCrossEntropy(const plan::CrossEntropy& c, const Operands& o);
  void AddLoss(Block* statistics, Index tokens);
  template <class T>
  void RunCollective(const plan::Collective& c, const Operands& o);
  void MergeStatistics(const Operands& o);
  [[noreturn]] void Missing(const Operands& o, const std::string& what) const;

  // device_context.cc: attention over context ranks
  struct Keys;
  template <class T>
  void RunContextCollective(const plan::Collective& c, const Operands& o);
  template <class T>
  void PassOn(const Operands& o);
  template <class Body>
  void ForEachRunOf(int member, Index rows, Body body) const;
  template <class T>
  void GatherKeys(const Operands& o);
  template <class T>
  void ScatterKeys(const Operands& o);
  template <class T>
  void ExchangeHeads(const Operands& o);
  template <class T>
  void AllToAll(plan::Stream stream, plan::Group group, const std::vector<Index>& sent,
                const std::vector<Index>& received, Block* from, Block* to);
  template <class T>
  void RunContextAttention(const plan::Attention& a, const Operands& o);
  template <class T>
  void AttendForward(const plan::Attention& a, const Operands& o, const AttentionArea& area, const Keys& k);
  template <class T>
  void AttendBackward(const plan::Attention& a, const Operands& o, const AttentionArea& area, const Keys& k,
                      const Keys& dk);
  template <class T>
  void MergeResults(const Operands& o);

  // device_experts.cc: mixtures of experts
  void PrepareRouting();
  template <class T>
  void RunRoute(const plan::Route& route, const Operands& o);
  template <class T>
  void MoveRows(const Operands& o, bool back, Index tokens, Index k, Index columns, Block* rows, std::size_t which);
  template <class T>
  void RunPermute(const plan::Permute& permute, const Operands& o);
  template <class T>
  void RunGrouped(const plan::GroupedGemm& g, const Operands& o);
  template <class T>
  void RunWeightedActivation(const plan::Elementwise& e, const Operands& o);
  template <class T, class Body>
  void ForEachOfRows(const Operands& o, Body body) const;
  template <class T>
  void ExchangeRows(const Operands& o);
  template <class T>
  void ExchangeExpertTensor(const Operands& o, bool sum);

  // device_elementwise.cc
  template <class T>
  void RunRowCut(const plan::Elementwise& e, const Operands& o);
  template <class T>
  void RunElementwise(const plan::Elementwise& e, const Operands& o);
  template <class T>
  void RunElementwiseBackward(const plan::Elementwise& e, const Operands& o);
  template <class T>
  void RunDropout(const plan::Elementwise& e, const Operands& o, bool backward);
  template <class T>
  void RunRope(const plan::Elementwise& e, const Operands& o, bool backward);

  // device_step.cc: what surrounds the tasks
  void RunSide(int after_task);
  void RunStepOp(const plan::Op& op, int chunk, int part, int parts);
  void Reduce(const plan::Op& op, const std::vector<DeviceParameter*>& parameters);
  void Gather(const std::vector<DeviceParameter*>& parameters);
  void AllReduceGradients(const Comm* comm, const std::vector<DeviceParameter*>& parameters, plan::Stream stream);
  void AddCopies();
  void AddTiedTables();
  void LocalNorm();
  void Update();
  template <class T>
  void RoundMasters();

  const Comm* CommOf(plan::Group group) const;

  const DevicePlan& run_;
  const plan::Plan& plan_;
  const plan::Scenario& scenario_;
  const RunOptions& options_;
  int rank_;
  plan::Coordinates at_;
  Positions positions_;
  Calls& calls_;
  Queues queues_;
  DeviceMemory memory_;
  Timings timings_;
  Clock clock_{ClockKind::kWall};
  Timings::What now_;                           // what launches are part of
  bool is_timed_ = false;                       // within a step
  std::map<std::vector<int>, HeldComm> comms_;  // by members
  std::map<plan::Group, const Comm*> comm_of_;
  const Comm* copies_ = nullptr;  // with the rank that holds the other copy of this one's stages
  Handle cosine_, sine_, loss_, squared_norm_, clip_;
  PinnedMemory host_;                   // results of a step, parameters on their way
  PinnedMemory text_;                   // tokens and labels of a step: (microbatches, tokens | labels, B, S)
  std::vector<DeviceRouting> routing_;  // [microbatch]
  Walk walk_{*this};
  LayerState state_{*this};
  std::vector<Handle> reduced_;  // gradients of the layer that was left last, which may still be on their way
  std::map<MessageKey, Handle> arrived_, leaving_;
  int step_ = 0;
  LossScale loss_scale_;
  double launched_scale_ = 1;  // of the last step that was launched
  std::vector<StepRecord> records_;
  double step_start_ = 0;
  std::string doing_;
};

}  // namespace isochrone::executor::cuda
