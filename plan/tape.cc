#include "plan/tape.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"

namespace isochrone::plan {
namespace {

bool IsCollective(const Op& op) { return std::holds_alternative<Collective>(op.kind); }

}  // namespace

Tape::Tape(std::string layer_name, const LayerContext& context) : context_(context) {
  program_.name = std::move(layer_name);
}

int Tape::NewBuffer(Buffer buffer) {
  program_.buffers.push_back(std::move(buffer));
  return static_cast<int>(program_.buffers.size()) - 1;
}

int Tape::Input(const std::string& name, std::vector<std::int64_t> shape, Dtype dtype) {
  const int input = NewBuffer({.name = name, .shape = std::move(shape), .dtype = dtype});
  if (program_.input < 0) program_.input = input;
  return input;
}

int Tape::Parameter(const std::string& name, std::vector<std::int64_t> shape, int sharded_axis, bool expert) {
  const int p = NewBuffer({.name = name,
                           .shape = std::move(shape),
                           .dtype = context_.storage,
                           .kind = BufferKind::kParameter,
                           .lifetime = Lifetime::kPersistent,
                           .expert = expert,
                           .sharded_axis = sharded_axis});
  (expert ? program_.expert_parameters : program_.parameters) += At(p).Elements();
  return p;
}

int Tape::ReplicatedParameter(const std::string& name, std::vector<std::int64_t> shape, bool sees_part) {
  const int p = Parameter(name, std::move(shape), -1);
  program_.buffers[static_cast<std::size_t>(p)].partial_over_tensor = sees_part || context_.SequenceParallel();
  return p;
}

int Tape::Borrowed(const std::string& name, std::vector<std::int64_t> shape) {
  return NewBuffer({.name = name,
                    .shape = std::move(shape),
                    .dtype = context_.storage,
                    .kind = BufferKind::kParameter,
                    .lifetime = Lifetime::kPersistent,
                    .sharded_axis = 0,
                    .borrowed = true});
}

int Tape::Activation(const std::string& name, std::vector<std::int64_t> shape, Dtype dtype, bool statistic) {
  return NewBuffer({.name = name, .shape = std::move(shape), .dtype = dtype, .statistic = statistic});
}

void Tape::Record(Op op, std::function<void(Gradient)> backward) {
  nodes_.push_back({std::move(op), std::move(backward), core_});
}

void Tape::EmitInputGradient(Op op) { backward_.push_back({std::move(op), false, core_}); }
void Tape::EmitWeightGradient(Op op) { backward_.push_back({std::move(op), true, core_}); }

int Tape::NewGradient(int buffer, const std::string& suffix) {
  Buffer b = At(buffer);
  b.name = "d_" + b.name + suffix;
  b.kind = BufferKind::kActivation;
  b.lifetime = Lifetime::kTask;
  b.statistic = false;
  return NewBuffer(std::move(b));
}

void Tape::AddGradient(int buffer, int gradient) {
  const auto [it, first] = gradient_.emplace(buffer, gradient);
  if (first) return;
  const int sum = NewGradient(buffer, ".sum");
  const Bytes size = At(sum).Size();
  const auto& shape = At(sum).shape;
  EmitInputGradient({.name = At(sum).name,
                     .kind = Elementwise{.pass = Pass::kBackward,
                                         .kind = ElementwiseKind::kAdd,
                                         .rows = shape.front(),
                                         .columns = shape.back(),
                                         .read = 2 * size,
                                         .written = size},
                     .in = {it->second, gradient},
                     .out = {sum},
                     .after = {}});
  it->second = sum;
}

int Tape::ParameterGradient(int parameter) {
  const auto it = parameter_gradient_.find(parameter);
  if (it != parameter_gradient_.end()) return it->second;
  Buffer g = At(parameter);
  g.name = "d_" + g.name;
  g.kind = BufferKind::kGradient;
  g.lifetime = Lifetime::kStep;
  g.dtype = context_.strategy->gradient_dtype;
  return parameter_gradient_[parameter] = NewBuffer(std::move(g));
}

int Tape::GatheredAgain(int gathered) {
  const auto from = gathered_from_.find(gathered);
  if (from == gathered_from_.end()) return gathered;
  const auto it = gathered_again_.find(gathered);
  if (it != gathered_again_.end()) return it->second;
  Buffer b = At(gathered);
  b.name += ".again";
  b.kind = BufferKind::kCommunication;
  const Bytes size = b.Size();
  const Dtype dtype = b.dtype;
  const int again = NewBuffer(std::move(b));
  gathered_again_[gathered] = again;
  EmitWeightGradient(
      {.name = At(again).name,
       .stream = Stream::kTensor,
       .kind = Collective{.kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = size, .dtype = dtype},
       .in = {from->second},
       .out = {again},
       .after = {}});
  return again;
}

int Tape::GradientOf(int buffer) const {
  const auto it = gradient_.find(buffer);
  return it == gradient_.end() ? -1 : it->second;
}

// ---- streams ------------------------------------------------------------------------------------------------------

/// Edges between streams: an op waits for the ops on other streams that made its inputs. Without overlap a collective
/// holds the compute stream: it waits for all compute before it, and the next compute op waits for it.
void Tape::LinkStreams(std::vector<Op>& ops) const {
  std::map<int, int> producer;
  int last_compute = -1, last_collective = -1;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    Op& op = ops[i];
    op.after.clear();
    std::set<int> after;
    for (int b : op.in) {
      const auto p = producer.find(b);
      if (p != producer.end() && ops[static_cast<std::size_t>(p->second)].stream != op.stream) after.insert(p->second);
    }
    const bool serial = op.stream != Stream::kData && op.stream != Stream::kCopy &&
                        (op.stream != Stream::kTensor || !context_.strategy->overlap_tensor) &&
                        op.stream != Stream::kContext;
    if (op.stream == Stream::kCompute) {
      if (last_collective >= 0) after.insert(last_collective);
      last_collective = -1;
    } else if (serial) {
      if (last_compute >= 0) after.insert(last_compute);
      last_collective = static_cast<int>(i);
    }
    // A gather of something kept starts with the compute op beside it, not before.
    if (op.stream == Stream::kTensor && after.empty() && last_compute >= 0) after.insert(last_compute);
    if (op.stream == Stream::kCompute) last_compute = static_cast<int>(i);
    for (int b : op.out) producer[b] = static_cast<int>(i);
    op.after.assign(after.begin(), after.end());
  }
}

// ---- backward -----------------------------------------------------------------------------------------------------

void Tape::DeriveBackward(int output) {
  if (program_.output_gradient < 0 && output >= 0) {
    program_.output_gradient = NewGradient(output, ".in");
    AddGradient(output, program_.output_gradient);
  }
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (!node->backward) continue;
    const int y = node->op.out.front();
    ReduceGradient(y);
    const auto g = gradient_.find(y);
    core_ = node->core;
    node->backward({this, g == gradient_.end() ? -1 : g->second});
    core_ = false;
  }
  ReduceGradient(program_.input);
  const auto in = gradient_.find(program_.input);
  program_.input_gradient = in == gradient_.end() ? -1 : in->second;
}

/// Which forward buffers stay alive until the backward pass, and which ops run again to make the others.
void Tape::ChooseKept() {
  std::map<int, std::size_t> producer;  // forward buffer -> node
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (int b : nodes_[i].op.out) producer[b] = i;
  }
  std::set<int> needed, needed_outside_core;
  for (const Emitted& e : backward_) {
    for (int b : e.op.in) {
      if (At(b).kind != BufferKind::kActivation || (!producer.count(b) && b != program_.input)) continue;
      needed.insert(b);
      if (!e.core) needed_outside_core.insert(b);
    }
  }

  const Recompute mode = context_.recomputes ? context_.strategy->recompute : Recompute::kNone;
  std::set<int> kept = needed;
  std::vector<bool> again(nodes_.size(), false);
  auto remake = [&](const std::set<int>& missing) {  // the ops that make `missing` from what is kept
    std::vector<int> todo(missing.begin(), missing.end());
    while (!todo.empty()) {
      const int b = todo.back();
      todo.pop_back();
      for (std::size_t i = 0; i < nodes_.size(); ++i) {  // several ops may each write a part
        const std::vector<int>& out = nodes_[i].op.out;
        if (again[i] || std::find(out.begin(), out.end(), b) == out.end()) continue;
        again[i] = true;
        for (int x : nodes_[i].op.in) {
          if (!kept.count(x)) todo.push_back(x);
        }
      }
    }
  };
  const bool is_layer = program_.name != "embedding" && program_.name != "spectrogram" && program_.name != "head";
  if (mode == Recompute::kFull && is_layer) {
    kept = {program_.input};
    again.assign(nodes_.size(), true);
  } else if (mode == Recompute::kSelective) {
    std::set<int> dropped;
    for (int b : needed) {
      const auto p = producer.find(b);
      if (p != producer.end() && nodes_[p->second].core && !needed_outside_core.count(b)) dropped.insert(b);
    }
    for (int b : dropped) kept.erase(b);
    remake(dropped);
  } else if (mode == Recompute::kSelectiveOp && is_layer) {
    // torchtitan's per-op form: attention, collectives and every second matrix product keep their results.
    std::set<int> stays = {program_.input};
    int products = 0;
    for (const Node& node : nodes_) {
      const bool product =
          std::holds_alternative<Gemm>(node.op.kind) || std::holds_alternative<GroupedGemm>(node.op.kind);
      const bool keep =
          std::holds_alternative<Attention>(node.op.kind) || IsCollective(node.op) || (product && products++ % 2 == 0);
      for (int b : node.op.out) {
        if (keep && At(b).kind == BufferKind::kActivation) stays.insert(b);  // gathered rows are gathered again
      }
    }
    std::set<int> dropped;
    for (int b : needed) {
      if (!stays.count(b)) dropped.insert(b);
    }
    kept = stays;
    remake(dropped);
    for (auto it = kept.begin(); it != kept.end();) {  // keep only what someone reads again
      bool read = needed.count(*it) > 0;
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        read = read || (again[i] && std::count(nodes_[i].op.in.begin(), nodes_[i].op.in.end(), *it) > 0);
      }
      it = read ? std::next(it) : kept.erase(it);
    }
  }
  for (int b : kept) {
    Buffer& buffer = program_.buffers[static_cast<std::size_t>(b)];
    if (buffer.kind == BufferKind::kActivation) buffer.lifetime = Lifetime::kMicrobatch;
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (again[i]) program_.Ops(Phase::kRecompute).push_back(nodes_[i].op);
  }
}

LayerProgram Tape::Finish(int output) {
  program_.output = output;
  for (const Node& node : nodes_) program_.Ops(Phase::kForward).push_back(node.op);
  DeriveBackward(output);
  ChooseKept();
  for (const Emitted& e : backward_) {
    program_.Ops(Phase::kBackward).push_back(e.op);
    program_.Ops(e.weight ? Phase::kBackwardWeight : Phase::kBackwardInput).push_back(e.op);
  }
  for (auto& ops : program_.ops) LinkStreams(ops);
  for (const Op& op : program_.Ops(Phase::kForward)) program_.model_flops += 3 * MatrixFlopsOf(op, true);
  return std::move(program_);
}

}  // namespace isochrone::plan
