#include "plan/tape.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"

namespace isochrone::plan {
namespace {

bool IsCollective(const Op& op) { return std::holds_alternative<Collective>(op.kind); }

Stream StreamOf(Group group) {
  switch (group) {
    case Group::kTensor:
    case Group::kExpertTensor:
      return Stream::kTensor;
    case Group::kContext:
      return Stream::kContext;
    case Group::kExpert:
      return Stream::kExpert;
    default:
      return Stream::kData;
  }
}

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

int Tape::ReplicatedParameter(const std::string& name, std::vector<std::int64_t> shape) {
  const int p = Parameter(name, std::move(shape), -1);
  program_.buffers[static_cast<std::size_t>(p)].partial_over_tensor = context_.SequenceParallel();
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

  const Recompute mode = context_.strategy->recompute;
  std::set<int> kept = needed;
  std::vector<bool> again(nodes_.size(), false);
  auto remake = [&](const std::set<int>& missing) {  // the ops that make `missing` from what is kept
    std::vector<int> todo(missing.begin(), missing.end());
    while (!todo.empty()) {
      const int b = todo.back();
      todo.pop_back();
      const auto p = producer.find(b);
      if (p == producer.end() || again[p->second]) continue;
      again[p->second] = true;
      for (int x : nodes_[p->second].op.in) {
        if (!kept.count(x)) todo.push_back(x);
      }
    }
  };
  if (mode == Recompute::kFull && program_.input >= 0 && program_.name != "embedding" && program_.name != "head") {
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
  } else if (mode == Recompute::kSelectiveOp && program_.name != "embedding" && program_.name != "head") {
    // torchtitan's per-op form: attention, collectives and every second matrix product keep their results.
    std::set<int> stays = {program_.input};
    int products = 0;
    for (const Node& node : nodes_) {
      const bool product =
          std::holds_alternative<Gemm>(node.op.kind) || std::holds_alternative<GroupedGemm>(node.op.kind);
      const bool keep =
          std::holds_alternative<Attention>(node.op.kind) || IsCollective(node.op) || (product && products++ % 2 == 0);
      if (keep) stays.insert(node.op.out.begin(), node.op.out.end());
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

// ---- ops ----------------------------------------------------------------------------------------------------------

int Tape::Linear(const std::string& name, int x, int weight, int bias) {
  const std::int64_t rows = At(x).shape.front(), n = At(weight).shape[0], k = At(weight).shape[1];
  const Dtype multiply = context_.multiply, storage = context_.storage;
  const int source = x;
  if (SizeOf(multiply) < SizeOf(storage)) x = Narrowed(x);
  const int y = Activation(name, {rows, n}, storage);
  const Gemm forward{.m = rows, .n = n, .k = k, .dtype = multiply, .output = storage, .transpose_b = true};
  std::vector<int> in = {x, weight};
  if (bias >= 0) in.push_back(bias);
  Record({.name = name, .kind = forward, .in = in, .out = {y}, .after = {}}, [=, this](Gradient g) {
    int dy = g.of_output;
    if (bias >= 0) EmitBiasGradient(name, dy, bias);
    if (SizeOf(multiply) < SizeOf(storage)) dy = NarrowedGradient(dy);
    const int x_again = GatheredAgain(x);
    const int dx = NewGradient(source, "." + name);
    EmitInputGradient(
        {.name = name,
         .kind =
             Gemm{.role = GemmRole::kLinearGradInput, .m = rows, .n = k, .k = n, .dtype = multiply, .output = storage},
         .in = {dy, weight},
         .out = {dx},
         .after = {}});
    AddGradient(source, dx);
    EmitWeightGradient({.name = name,
                        .kind = Gemm{.role = GemmRole::kLinearGradWeight,
                                     .m = n,
                                     .n = k,
                                     .k = rows,
                                     .dtype = multiply,
                                     .output = context_.strategy->gradient_dtype,
                                     .transpose_a = true,
                                     .accumulate = true},
                        .in = {dy, x_again},
                        .out = {ParameterGradient(weight)},
                        .after = {}});
  });
  return y;
}

int Tape::Narrowed(int x) {
  const auto it = cast_.find(x);
  if (it != cast_.end()) return it->second;
  const int narrow = Activation(At(x).name + ".8bit", At(x).shape, context_.multiply);
  Record({.name = At(narrow).name, .kind = CastOf(x, narrow), .in = {x}, .out = {narrow}, .after = {}}, nullptr);
  if (gathered_from_.count(x)) gathered_from_[narrow] = gathered_from_[x];
  return cast_[x] = narrow;
}

int Tape::NarrowedGradient(int dy) {
  const int narrow = Activation(At(dy).name + ".8bit", At(dy).shape, context_.multiply);
  EmitInputGradient({.name = At(narrow).name, .kind = CastOf(dy, narrow), .in = {dy}, .out = {narrow}, .after = {}});
  return narrow;
}

/// One pass that writes the narrow form twice, row- and column-major, as the three products of a linear layer need
/// both.
Elementwise Tape::CastOf(int from, int to) const {
  return {.kind = ElementwiseKind::kCast,
          .rows = At(from).shape.front(),
          .columns = At(from).shape.back(),
          .read = At(from).Size(),
          .written = 2 * At(to).Size()};
}

void Tape::EmitBiasGradient(const std::string& name, int dy, int bias) {
  EmitWeightGradient({.name = name + "_bias",
                      .kind = Elementwise{.pass = Pass::kBackward,
                                          .kind = ElementwiseKind::kBias,
                                          .rows = At(dy).shape.front(),
                                          .columns = At(bias).shape.back(),
                                          .read = At(dy).Size(),
                                          .written = At(bias).Size()},
                      .in = {dy},
                      .out = {ParameterGradient(bias)},
                      .after = {}});
}

int Tape::Norm(const std::string& name, int x) {
  const std::int64_t rows = At(x).shape.front(), columns = At(x).shape.back();
  const NormKind kind = context_.model->normalization;
  const int weight = ReplicatedParameter(name + ".weight", {columns});
  const int bias = kind == NormKind::kLayer ? ReplicatedParameter(name + ".bias", {columns}) : -1;
  const int y = Activation(name, {rows, columns}, context_.storage);
  const int statistics = Activation(name + ".statistics", {rows, kind == NormKind::kLayer ? 2 : 1}, Dtype::kFp32, true);
  Normalization op{.kind = kind, .rows = rows, .columns = columns, .dtype = context_.storage};
  std::vector<int> in = {x, weight};
  if (bias >= 0) in.push_back(bias);
  Record({.name = name, .kind = op, .in = in, .out = {y, statistics}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    Normalization back = op;
    back.pass = Pass::kBackward;
    std::vector<int> out = {dx, ParameterGradient(weight)};
    if (bias >= 0) out.push_back(ParameterGradient(bias));
    EmitInputGradient(
        {.name = name, .kind = back, .in = {g.of_output, x, weight, statistics}, .out = out, .after = {}});
    AddGradient(x, dx);
  });
  return y;
}

int Tape::Elementwise1(const std::string& name, ElementwiseKind kind, int x, std::vector<std::int64_t> shape,
                       int bias) {
  const int y = Activation(name, std::move(shape), context_.storage);
  Elementwise op{.kind = kind,
                 .rows = At(y).shape.front(),
                 .columns = At(y).shape.back(),
                 .read = At(x).Size(),
                 .written = At(y).Size(),
                 .flops_per_element = 8};
  std::vector<int> in = {x};
  if (bias >= 0) in.push_back(bias);
  Record({.name = name, .kind = op, .in = in, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    back.read = op.read + op.written;
    back.written = op.read;
    std::vector<int> operands = {g.of_output, x};
    if (bias >= 0) operands.push_back(bias);
    EmitInputGradient({.name = name, .kind = back, .in = operands, .out = {dx}, .after = {}});
    if (bias >= 0) EmitBiasGradient(name, dx, bias);
    AddGradient(x, dx);
  });
  return y;
}

int Tape::DropoutAdd(const std::string& name, int x, int residual, int bias) {
  const bool drops = context_.model->dropout > 0;
  const int y = Activation(name, At(residual).shape, context_.storage);
  const int mask = drops ? Activation(name + ".mask", At(residual).shape, Dtype::kMask) : -1;
  const Bytes size = At(y).Size(), mask_size = drops ? At(mask).Size() : Bytes(0);
  const ElementwiseKind kind = drops || bias >= 0 ? ElementwiseKind::kBiasDropoutAdd : ElementwiseKind::kAdd;
  Elementwise op{.kind = kind,
                 .rows = At(y).shape.front(),
                 .columns = At(y).shape.back(),
                 .read = 2 * size,
                 .written = size + mask_size,
                 .flops_per_element = 4};
  std::vector<int> in = {x}, out = {y};
  if (bias >= 0) in.push_back(bias);
  in.push_back(residual);
  if (drops) out.push_back(mask);
  Record({.name = name, .kind = op, .in = in, .out = out, .after = {}}, [=, this](Gradient g) {
    AddGradient(residual, g.of_output);
    int dx = g.of_output;
    if (drops) {
      dx = NewGradient(x, "." + name);
      Elementwise back = op;
      back.pass = Pass::kBackward;
      back.read = size + mask_size;
      back.written = size;
      EmitInputGradient({.name = name, .kind = back, .in = {g.of_output, mask}, .out = {dx}, .after = {}});
    }
    if (bias >= 0) EmitBiasGradient(name, dx, bias);
    AddGradient(x, dx);
  });
  return y;
}

int Tape::Dropout(const std::string& name, int x) {
  if (context_.model->dropout <= 0) return x;
  const int y = Activation(name, At(x).shape, context_.storage);
  const int mask = Activation(name + ".mask", At(x).shape, Dtype::kMask);
  const Bytes size = At(y).Size();
  Elementwise op{.kind = ElementwiseKind::kDropout,
                 .rows = static_cast<std::int64_t>(At(x).Elements() / static_cast<double>(At(x).shape.back())),
                 .columns = At(x).shape.back(),
                 .read = size,
                 .written = size + At(mask).Size()};
  Record({.name = name, .kind = op, .in = {x}, .out = {y, mask}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    back.read = op.written;
    back.written = op.read;
    EmitInputGradient({.name = name, .kind = back, .in = {g.of_output, mask}, .out = {dx}, .after = {}});
    AddGradient(x, dx);
  });
  return y;
}

int Tape::Rope(const std::string& name, int qkv) {
  const int y = Activation(name, At(qkv).shape, context_.storage);
  const double rotated = static_cast<double>(context_.model->heads + context_.model->kv_heads) /
                         static_cast<double>(context_.model->heads + 2 * context_.model->kv_heads);
  Elementwise op{.kind = ElementwiseKind::kRope,
                 .rows = At(y).shape.front(),
                 .columns = At(y).shape.back(),
                 .read = rotated * At(y).Size(),
                 .written = rotated * At(y).Size(),
                 .flops_per_element = 3};
  Record({.name = name, .kind = op, .in = {qkv}, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(qkv, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    EmitInputGradient({.name = name, .kind = back, .in = {g.of_output}, .out = {dx}, .after = {}});
    AddGradient(qkv, dx);
  });
  return y;
}

// ---- tensor parallelism -------------------------------------------------------------------------------------------

void Tape::EmitCollective(const std::string& name, CollectiveKind kind, Group group, int x, int y, Bytes bytes) {
  EmitInputGradient({.name = name,
                     .stream = StreamOf(group),
                     .kind = Collective{.kind = kind, .group = group, .bytes = bytes, .dtype = At(x).dtype},
                     .in = {x},
                     .out = {y},
                     .after = {}});
}

int Tape::EnterTensorRegion(const std::string& name, int x) {
  if (context_.layout.tp == 1) return x;
  if (!context_.SequenceParallel()) {
    reduced_[x] = name;
    return x;
  }
  auto shape = At(x).shape;
  shape.front() *= context_.layout.tp;
  const int y = Activation(name, shape, context_.storage);
  const Bytes size = At(y).Size();
  gathered_from_[y] = x;
  program_.buffers[static_cast<std::size_t>(y)].kind = BufferKind::kCommunication;
  Record(
      {.name = name,
       .stream = Stream::kTensor,
       .kind =
           Collective{
               .kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = size, .dtype = context_.storage},
       .in = {x},
       .out = {y},
       .after = {}},
      [=, this](Gradient g) {
        const int dx = NewGradient(x, "." + name);
        EmitCollective(name, CollectiveKind::kReduceScatter, Group::kTensor, g.of_output, dx, size);
        AddGradient(x, dx);
      });
  return y;
}

/// The gradient of a tensor that entered a tensor-parallel region whole is the sum over the group.
void Tape::ReduceGradient(int x) {
  const auto r = reduced_.find(x);
  const auto g = gradient_.find(x);
  if (r == reduced_.end() || g == gradient_.end()) return;
  const int sum = NewGradient(x, ".reduced");
  EmitCollective(r->second, CollectiveKind::kAllReduce, Group::kTensor, g->second, sum, At(x).Size());
  g->second = sum;
}

int Tape::LeaveTensorRegion(const std::string& name, int x) {
  if (context_.layout.tp == 1) return x;
  const bool sequence_parallel = context_.SequenceParallel();
  auto shape = At(x).shape;
  if (sequence_parallel) shape.front() /= context_.layout.tp;
  const int y = Activation(name, shape, context_.storage);
  const Bytes size = At(x).Size();
  Record({.name = name,
          .stream = Stream::kTensor,
          .kind = Collective{.kind = sequence_parallel ? CollectiveKind::kReduceScatter : CollectiveKind::kAllReduce,
                             .group = Group::kTensor,
                             .bytes = size,
                             .dtype = context_.storage},
          .in = {x},
          .out = {y},
          .after = {}},
         [=, this](Gradient g) {
           if (!sequence_parallel) return AddGradient(x, g.of_output);
           const int dx = NewGradient(x, "." + name);
           EmitCollective(name, CollectiveKind::kAllGather, Group::kTensor, g.of_output, dx, size);
           AddGradient(x, dx);
         });
  return y;
}

}  // namespace isochrone::plan
