// The operations that layers are recorded from, each with its backward pass.
#include <utility>

#include "plan/tape.h"

namespace isochrone::plan {

int Tape::Linear(const std::string& name, int x, int weight, int bias, bool narrow) {
  const std::int64_t rows = At(x).shape.front(), n = At(weight).shape[0], k = At(weight).shape[1];
  const Dtype storage = context_.storage;
  const bool narrows = narrow && SizeOf(context_.multiply) < SizeOf(storage);
  const Dtype multiply = narrow ? context_.multiply : storage;
  const int source = x;
  if (narrows) x = Narrowed(x);
  const int y = Activation(name, {rows, n}, storage);
  const Gemm forward{
      .m = rows, .n = n, .k = k, .dtype = multiply, .output = storage, .transpose_b = true, .bias = bias >= 0};
  std::vector<int> in = {x, weight};
  if (bias >= 0) in.push_back(bias);
  Record({.name = name, .kind = forward, .in = in, .out = {y}, .after = {}}, [=, this](Gradient g) {
    int dy = g.of_output;
    if (bias >= 0) EmitBiasGradient(name, dy, bias);
    if (narrows) dy = NarrowedGradient(dy);
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
    const Dtype result = narrow ? context_.strategy->gradient_dtype : storage;
    EmitLinearWeight(name, Gemm{.m = n, .n = k, .k = rows, .dtype = multiply, .output = result}, dy, x_again, weight);
  });
  return y;
}

/// dW += dYᵀ X in one kernel; or, in frameworks without that, a product in the storage format and an addition after it.
void Tape::EmitLinearWeight(const std::string& name, Gemm product, int dy, int x, int weight) {
  const bool fused = context_.strategy->fused_gradient_accumulation;
  const int sum = ParameterGradient(weight);
  const int alone = fused ? sum : NewGradient(weight, ".product");
  product.role = GemmRole::kLinearGradWeight;
  if (!fused) product.output = At(alone).dtype;
  product.transpose_a = true;
  product.accumulate = fused;
  EmitWeightGradient({.name = name, .kind = product, .in = {dy, x}, .out = {alone}, .after = {}});
  if (fused) return;
  const Bytes added = At(alone).Size(), held = At(sum).Size();
  EmitWeightGradient({.name = name + "_accumulate",
                      .kind = Elementwise{.pass = Pass::kBackward,
                                          .kind = ElementwiseKind::kAdd,
                                          .rows = product.m,
                                          .columns = product.n,
                                          .read = added + held,
                                          .written = held},
                      .in = {alone, sum},
                      .out = {sum},
                      .after = {}});
}

int Tape::Grouped(const std::string& name, int x, int weight, const GroupRows& rows) {
  const auto& matrix = At(weight).shape;
  const std::int64_t experts = matrix[0], n = matrix[1], k = matrix[2], held = At(x).shape.front();
  const Dtype multiply = context_.multiply, storage = context_.storage;
  const bool narrows = SizeOf(multiply) < SizeOf(storage);
  const int source = x;
  if (narrows) x = Narrowed(x);
  const int y = Activation(name, {held, n}, storage);
  const GroupedGemm forward{.experts = experts,
                            .rows = rows.multiplied,
                            .rows_fullest = rows.fullest,
                            .n = n,
                            .k = k,
                            .dtype = multiply,
                            .output = storage};
  AddModelFlops(Flops(2 * (rows.useful - rows.multiplied) * static_cast<double>(n * k)));
  Record({.name = name, .kind = forward, .in = {x, weight}, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dy = narrows ? NarrowedGradient(g.of_output) : g.of_output;
    const int dx = NewGradient(source, "." + name);
    GroupedGemm to_input = forward, to_weight = forward;
    to_input.n = k;
    to_input.k = n;
    to_weight.weight_gradient = true;
    to_weight.output = context_.strategy->gradient_dtype;
    EmitInputGradient({.name = name, .kind = to_input, .in = {dy, weight}, .out = {dx}, .after = {}});
    AddGradient(source, dx);
    EmitWeightGradient(
        {.name = name, .kind = to_weight, .in = {dy, x}, .out = {ParameterGradient(weight)}, .after = {}});
  });
  return y;
}

int Tape::Apply(const std::string& name, OpKind forward, OpKind backward, const std::vector<int>& in,
                const std::vector<int>& again, std::vector<std::int64_t> shape) {
  const int y = Activation(name, std::move(shape), context_.storage);
  Record({.name = name, .kind = std::move(forward), .in = in, .out = {y}, .after = {}}, [=, this](Gradient g) {
    std::vector<int> operands = {g.of_output}, out;
    for (int b : again) operands.push_back(b == kResult ? y : b);
    std::vector<std::pair<int, int>> gradients;
    for (int b : in) {
      const Dtype dtype = At(b).dtype;
      if (dtype == Dtype::kInt32 || dtype == Dtype::kMask) continue;
      if (At(b).kind == BufferKind::kParameter) {
        out.push_back(ParameterGradient(b));
      } else {
        gradients.emplace_back(b, NewGradient(b, "." + name));
        out.push_back(gradients.back().second);
      }
    }
    EmitInputGradient({.name = name, .kind = backward, .in = operands, .out = out, .after = {}});
    for (const auto& [b, gradient] : gradients) AddGradient(b, gradient);
  });
  return y;
}

int Tape::Narrowed(int x) {
  const auto it = cast_.find(x);
  if (it != cast_.end()) return it->second;
  const int narrow = Activation(At(x).name + ".8bit", At(x).shape, context_.multiply);
  Elementwise cast = CastOf(x, narrow, gathered_from_.count(x) > 0);
  // The normalisation before a product writes the narrow forms itself: two of one byte in place of one of two.
  const int from = !context_.strategy->fused_kernels ? -1 : gathered_from_.count(x) ? gathered_from_[x] : x;
  for (const Node& node : nodes_) {
    if (node.op.out.front() == from && std::holds_alternative<Normalization>(node.op.kind))
      cast.read = cast.written = Bytes(0);
  }
  Record({.name = At(narrow).name, .kind = cast, .in = {x}, .out = {narrow}, .after = {}}, nullptr);
  if (gathered_from_.count(x)) gathered_from_[narrow] = gathered_from_[x];
  return cast_[x] = narrow;
}

int Tape::NarrowedGradient(int dy) {
  const int narrow = Activation(At(dy).name + ".8bit", At(dy).shape, context_.multiply);
  const bool gathered = context_.SequenceParallel() && At(dy).shape.back() == context_.model->hidden;
  EmitInputGradient(
      {.name = At(narrow).name, .kind = CastOf(dy, narrow, gathered), .in = {dy}, .out = {narrow}, .after = {}});
  return narrow;
}

/// One pass that writes the narrow form twice, row- and column-major, as the three products of a linear layer need
/// both. PyTorch reads once more for the maximum, and with a scale a row twice more, as rows and columns differ; with
/// one scale a tensor it does so before rows are gathered.
Elementwise Tape::CastOf(int from, int to, bool gathered) const {
  const Strategy& s = *context_.strategy;
  const double reads = s.fused_kernels ? 1 : s.fp8_recipe == "rowwise" ? 4 : 2;
  // Transformer Engine narrows before the gather, too, but transposes what was gathered: as much traffic again.
  const double share = gathered && !s.fused_kernels && GathersNarrow() ? 1.0 / context_.layout.tp : 1;
  return {.kind = ElementwiseKind::kCast,
          .rows = At(from).shape.front(),
          .columns = At(from).shape.back(),
          .read = share * reads * At(from).Size(),
          .written = share * 2 * At(to).Size()};
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

int Tape::Norm(const std::string& name, int x, std::int64_t columns) {
  const std::int64_t rows = At(x).shape.front();
  if (columns == 0) columns = At(x).shape.back();
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
  // A gated activation in two kernels: the activation of one half is written, then read to multiply the other; back, as
  // much again for the product's second factor and the gradient between the two.
  const bool split = Eager() && At(x).Size() > At(y).Size();
  const Bytes half = At(y).Size(), read = At(x).Size();
  if (split) op.read += half, op.written += half;
  // PyTorch squares what ReLU wrote; back, it copies that (to the power of one), doubles it, multiplies it with the
  // gradient and lets ReLU's own backward pass choose (pow_backward, threshold_backward).
  const bool squares = kind == ElementwiseKind::kSquaredRelu && (Eager() || !context_.strategy->fused_squared_relu);
  if (squares) op.read += half, op.written += half;
  std::vector<int> in = {x};
  if (bias >= 0) in.push_back(bias);
  Record({.name = name, .kind = op, .in = in, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    back.read = read + half;
    back.written = read;
    if (split) back.read += 3 * half, back.written += half;
    if (squares) back.read += 4 * half, back.written += 3 * half;
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
                 .flops_per_element = 4,
                 .draws = drops};
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
      back.draws = false;
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
                 .written = size + At(mask).Size(),
                 .draws = true};
  Record({.name = name, .kind = op, .in = {x}, .out = {y, mask}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(x, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    back.read = op.written;
    back.written = op.read;
    back.draws = false;
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
  // Without a kernel of its own, rotation is a product of complex numbers in fp32, which compilers leave alone: a cast
  // there, the product, a cast back, 20 bytes an element of 2.
  if (!context_.strategy->fused_kernels) op.read = op.written = 5 * op.read;
  Record({.name = name, .kind = op, .in = {qkv}, .out = {y}, .after = {}}, [=, this](Gradient g) {
    const int dx = NewGradient(qkv, "." + name);
    Elementwise back = op;
    back.pass = Pass::kBackward;
    EmitInputGradient({.name = name, .kind = back, .in = {g.of_output}, .out = {dx}, .after = {}});
    AddGradient(qkv, dx);
  });
  return y;
}

}  // namespace isochrone::plan
