// Communication inside layers, each form with its mirror in the backward pass.
#include <utility>

#include "plan/tape.h"

namespace isochrone::plan {
namespace {

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

void Tape::EmitCollective(const std::string& name, const Collective& op, int x, int y) {
  EmitInputGradient({.name = name, .stream = StreamOf(op.group), .kind = op, .in = {x}, .out = {y}, .after = {}});
}

int Tape::Communicate(const std::string& name, Group group, CollectiveKind kind, CollectiveKind mirror, int x,
                      std::vector<std::int64_t> shape, Bytes bytes, double imbalance, double mirror_bytes) {
  const int y = Activation(name, std::move(shape), At(x).dtype);
  const Collective forward{.kind = kind, .group = group, .bytes = bytes, .dtype = At(x).dtype, .imbalance = imbalance};
  Record({.name = name, .stream = StreamOf(group), .kind = forward, .in = {x}, .out = {y}, .after = {}},
         [=, this](Gradient g) {
           Collective back = forward;
           back.kind = mirror;
           back.bytes = mirror_bytes * bytes;
           const int dx = NewGradient(x, "." + name);
           EmitCollective(name, back, g.of_output, dx);
           AddGradient(x, dx);
         });
  return y;
}

bool Tape::GathersNarrow() const {
  const Strategy& s = *context_.strategy;
  if (SizeOf(context_.multiply) >= SizeOf(context_.storage)) return false;
  return s.fused_kernels || s.fp8_recipe == "tensorwise";
}

Collective Tape::Gathered(int buffer, Wire wire) const {
  const Dtype dtype = wire == Wire::kMultiply && GathersNarrow() ? context_.multiply : At(buffer).dtype;
  return {.kind = CollectiveKind::kAllGather,
          .group = Group::kTensor,
          .bytes = At(buffer).Elements() * SizeOf(dtype),
          .dtype = dtype};
}

int Tape::EnterTensorRegion(const std::string& name, int x, Wire wire) {
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
      {.name = name, .stream = Stream::kTensor, .kind = Gathered(y, wire), .in = {x}, .out = {y}, .after = {}},
      [=, this](Gradient g) {
        const int dx = NewGradient(x, "." + name);
        EmitCollective(
            name,
            {.kind = CollectiveKind::kReduceScatter, .group = Group::kTensor, .bytes = size, .dtype = context_.storage},
            g.of_output, dx);
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
  EmitCollective(
      r->second,
      {.kind = CollectiveKind::kAllReduce, .group = Group::kTensor, .bytes = At(x).Size(), .dtype = At(x).dtype},
      g->second, sum);
  g->second = sum;
}

int Tape::LeaveTensorRegion(const std::string& name, int x, Wire wire) {
  if (context_.layout.tp == 1) return x;
  auto shape = At(x).shape;
  const Bytes size = At(x).Size();
  if (context_.SequenceParallel()) shape.front() /= context_.layout.tp;
  const int y = Activation(name, shape, At(x).dtype);
  if (context_.SequenceParallel()) {
    const Collective scatter{
        .kind = CollectiveKind::kReduceScatter, .group = Group::kTensor, .bytes = size, .dtype = At(x).dtype};
    Record({.name = name, .stream = Stream::kTensor, .kind = scatter, .in = {x}, .out = {y}, .after = {}},
           [=, this](Gradient g) {
             const int dx = NewGradient(x, "." + name);
             EmitCollective(name, Gathered(dx, wire), g.of_output, dx);
             AddGradient(x, dx);
           });
    return y;
  }
  Record(
      {.name = name,
       .stream = Stream::kTensor,
       .kind =
           Collective{
               .kind = CollectiveKind::kAllReduce, .group = Group::kTensor, .bytes = size, .dtype = context_.storage},
       .in = {x},
       .out = {y},
       .after = {}},
      [=, this](Gradient g) { AddGradient(x, g.of_output); });
  return y;
}

int Tape::CutRows(const std::string& name, int x) {
  auto shape = At(x).shape;
  shape.front() /= context_.layout.tp;
  const int y = Activation(name, shape, At(x).dtype);
  const Bytes part = At(y).Size(), whole = At(x).Size();
  const Elementwise copy{
      .kind = ElementwiseKind::kCopy, .rows = shape.front(), .columns = shape.back(), .read = part, .written = part};
  Record({.name = name, .kind = copy, .in = {x}, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    if (reduced_.count(x)) {  // own rows among zeros
      const Elementwise spread{.pass = Pass::kBackward,
                               .kind = ElementwiseKind::kCopy,
                               .rows = At(x).shape.front(),
                               .columns = At(x).shape.back(),
                               .read = part,
                               .written = whole};
      EmitInputGradient({.name = name, .kind = spread, .in = {g.of_output}, .out = {dx}, .after = {}});
    } else {
      EmitCollective(
          name,
          {.kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = whole, .dtype = context_.storage},
          g.of_output, dx);
    }
    AddGradient(x, dx);
  });
  return y;
}

int Tape::GatherRows(const std::string& name, int x) {
  auto shape = At(x).shape;
  shape.front() *= context_.layout.tp;
  const int y = Activation(name, shape, At(x).dtype);
  const Bytes part = At(x).Size(), whole = At(y).Size();
  const Collective gather{
      .kind = CollectiveKind::kAllGather, .group = Group::kTensor, .bytes = whole, .dtype = context_.storage};
  const Elementwise cut{.pass = Pass::kBackward,
                        .kind = ElementwiseKind::kCopy,
                        .rows = At(x).shape.front(),
                        .columns = shape.back(),
                        .read = part,
                        .written = part};
  Record({.name = name, .stream = Stream::kTensor, .kind = gather, .in = {x}, .out = {y}, .after = {}},
         [=, this](Gradient g) {
           const int dx = NewGradient(x, "." + name);
           EmitInputGradient({.name = name, .kind = cut, .in = {g.of_output}, .out = {dx}, .after = {}});
           AddGradient(x, dx);
         });
  return y;
}

}  // namespace isochrone::plan
