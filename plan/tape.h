#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plan/program.h"
#include "plan/scenario.h"

namespace isochrone::plan {

/// What every layer builder needs to know about one rank's share of the work.
struct LayerContext {
  const Model* model = nullptr;
  const Strategy* strategy = nullptr;
  Layout layout;
  std::int64_t sequences = 1;     // B: of a microbatch
  std::int64_t positions = 0;     // S: of this rank, after context parallelism
  Dtype storage = Dtype::kBf16;   // activations and parameters
  Dtype multiply = Dtype::kBf16;  // matrix products
  bool windowed = false;          // this layer's attention sees model->window tokens only
  bool recomputes = true;         // false: keeps its activations, whatever strategy->recompute says

  std::int64_t Tokens() const { return sequences * positions; }  // T
  bool SequenceParallel() const { return strategy->sequence_parallel && layout.tp > 1; }
  /// Rows outside the tensor-parallel region: T / tp with sequence parallelism, else T.
  std::int64_t ShardTokens() const { return SequenceParallel() ? Tokens() / layout.tp : Tokens(); }
};

/// Records one layer's forward pass and derives its other passes: the backward ops of each recorded op, what the
/// backward pass needs and so must stay alive, and what is run again when it was not kept.
///
/// Operands of the ops, in order (in → out), T rows, all row-major:
///   gemm kLinear              X (T,k), W (n,k) [, b (n)]            → Y (T,n)
///   gemm kLinearGradInput     dY (T,n), W (n,k)                     → dX (T,k)
///   gemm kLinearGradWeight    dY (T,n), X (T,k)                     → dW (n,k), added to what is there
///   gemm kScores              qkv (T, (A+2K)D)                      → S (B,A,S,S)
///   gemm kContext             P (B,A,S,S), qkv                      → O (T, A D)
///   gemm kGradProbabilities   dO, qkv                               → dP        kGradValues  P, dO → dqkv (v part)
///   gemm kGradQueries         dS, qkv → dqkv (q part)                           kGradKeys    dS, qkv → dqkv (k part)
///   attention                 qkv → O, lse (B,A,S)                  backward: dO, qkv, O, lse → dqkv
///   softmax                   S → P                                 backward: dP, P → dS
///   normalization             x, g [, b] → y, statistics            backward: dy, x, g, statistics → dx, dg [, db]
///   bias                      x, b → y                              backward: dy → db, added
///   gelu, swiglu, …           x [, b] → y                           backward: dy, x [, b] → dx [, db]
///   bias_dropout_add          x [, b], residual → y [, mask]        backward: dy [, mask] → dx [, db]
///   dropout                   x → y, mask                           backward: dy, mask → dx
///   add                       a, b → y
///   rope                      qkv → qkv'                            backward: dqkv' → dqkv
///   embedding                 tokens, table → y                     backward: dy, tokens → dtable, added
///   cross_entropy             logits, labels → statistics (3,T), softmax      backward: softmax, labels, statistics of
///                             the whole vocabulary → dlogits
///   collective                x → y
///   grouped_gemm              X (rows,k), W (E,n,k) → Y (rows,n)   backward: dY, W → dX; dY, X → dW, added
///   route                     scores (T,E) → probabilities (T,topk), choice (T,topk)
///                                                                  backward: dprobabilities, scores, choice → dscores
///   permute                   x (T,H), weights (T,topk) [, choice] → rows, weights of rows
///                                                                  backward: drows, dweights [, choice] → dx, dweights
///   permute, restore          rows, choice → y (T,H), summed       backward: dy, choice → drows
///   swiglu, … of experts      x, weights → y, each row weighted    backward: dy, x, weights → dx, dweights
///   collective of experts     rows, weights → rows, weights        backward: drows, dweights → drows, dweights
///   scan                      xBC, dt, A, D, dt_bias → y           backward: dy, xBC, dt, A, D, dt_bias → the same
///   convolution               x, w, b → y                          backward: dy, x, w → dx, dw, db
///   recurrent                 gates of the input, w → h            backward: dh, gates, w, h → dgates, dw
/// Packed qkv holds, per token, all local query heads, then key heads, then value heads. Over context ranks (ring), one
/// attention op for every block of keys: qkv or (qkv, block) → O, lse of that block, then an op that merges them.
class Tape {
 public:
  Tape(std::string layer_name, const LayerContext& context);

  int Input(const std::string& name, std::vector<std::int64_t> shape, Dtype dtype);
  int Parameter(const std::string& name, std::vector<std::int64_t> shape, int sharded_axis, bool expert = false);
  /// A parameter that every tensor rank holds whole; under sequence parallelism, or where `sees_part`, each sees only
  /// its rows.
  int ReplicatedParameter(const std::string& name, std::vector<std::int64_t> shape, bool sees_part = false);
  /// Another layer's parameter on the same rank (a tied table): used here, counted there.
  int Borrowed(const std::string& name, std::vector<std::int64_t> shape);
  int Activation(const std::string& name, std::vector<std::int64_t> shape, Dtype dtype, bool statistic = false);
  const Buffer& At(int buffer) const { return program_.buffers[static_cast<std::size_t>(buffer)]; }

  /// `narrow`: multiplied in the recipe's 8- or 4-bit format where it has one; routers and logits stay wide.
  int Linear(const std::string& name, int x, int weight, int bias = -1, bool narrow = true);
  /// Rows of a grouped product: multiplied, of the fullest expert, and those that are no padding (they count as model
  /// work).
  struct GroupRows {
    double multiplied, fullest, useful;
  };
  /// Rows of each expert times its own matrix of `weight` (E, n, k).
  int Grouped(const std::string& name, int x, int weight, const GroupRows& rows);
  /// Over the first `columns` columns of x; 0: all.
  int Norm(const std::string& name, int x, std::int64_t columns = 0);
  /// One op with one result of `shape`, and one op back: reads the gradient and `again` (kResult stands for the
  /// result), writes the gradients of everything in `in` that has one.
  static constexpr int kResult = -1;
  int Apply(const std::string& name, OpKind forward, OpKind backward, const std::vector<int>& in,
            const std::vector<int>& again, std::vector<std::int64_t> shape);
  /// Work that counts as the model's beside what the recorded forward ops say.
  void AddModelFlops(Flops forward) { program_.model_flops += 3 * forward; }
  int Elementwise1(const std::string& name, ElementwiseKind kind, int x, std::vector<std::int64_t> shape,
                   int bias = -1);
  /// y = residual + dropout(x + bias)
  int DropoutAdd(const std::string& name, int x, int residual, int bias = -1);
  int Dropout(const std::string& name, int x);
  int Rope(const std::string& name, int qkv);

  /// Beside a tensor-parallel region: does every reader of the gathered rows narrow them? Then they travel narrow.
  enum class Wire { kStorage, kMultiply };
  /// Into a tensor-parallel region: with sequence parallelism gathers rows (and reduce-scatters the gradient); without,
  /// x itself, whose gradient is all-reduced. `wire`: of the rows.
  int EnterTensorRegion(const std::string& name, int x, Wire wire = Wire::kStorage);
  /// Out of it: reduce-scatter of rows, or all-reduce; the gradient is gathered, or passes. `wire`: of the gradient.
  int LeaveTensorRegion(const std::string& name, int x, Wire wire = Wire::kStorage);
  /// Rows whole on every tensor rank, cut and brought together again: nothing forward and a gather back, or the
  /// reverse. A gradient that is all-reduced afterwards, for others who use the whole rows, is not gathered before. For
  /// layers that cannot work on whole rows where sequence parallelism is off.
  int CutRows(const std::string& name, int x);
  int GatherRows(const std::string& name, int x);
  /// y of `shape` by a collective over `group`; the gradient goes back by `mirror`, with `mirror_bytes` times as many.
  int Communicate(const std::string& name, Group group, CollectiveKind kind, CollectiveKind mirror, int x,
                  std::vector<std::int64_t> shape, Bytes bytes, double imbalance = 1, double mirror_bytes = 1);

  /// The op with the operands given; its backward ops come from `backward`, called with the gradient of `out[0]`.
  struct Gradient {
    Tape* tape;
    int of_output;  // gradient buffer of out[0]
  };
  void Record(Op op, std::function<void(Gradient)> backward);

  /// Within: the ops that selective recomputation runs again (core attention).
  void BeginCoreAttention() { core_ = true; }
  void EndCoreAttention() { core_ = false; }

  // --- for backward functions ---------------------------------------------------------------------------------------
  /// Adds `op` to the pass that computes input gradients, or weight gradients.
  void EmitInputGradient(Op op);
  void EmitWeightGradient(Op op);
  /// A new gradient buffer shaped like `buffer`; joins (adds) when `buffer` has one already.
  int NewGradient(int buffer, const std::string& suffix = "");
  void AddGradient(int buffer, int gradient);
  int ParameterGradient(int parameter);
  /// The gradient of `buffer` so far, -1 if it has none.
  int GradientOf(int buffer) const;
  /// Buffer that holds the rows of `gathered` again in the backward pass (the gathered form is not kept).
  int GatheredAgain(int gathered);

  LayerProgram Finish(int output);

  const LayerContext& context() const { return context_; }

 private:
  struct Node {
    Op op;
    std::function<void(Gradient)> backward;
    bool core = false;
  };
  struct Emitted {
    Op op;
    bool weight = false, core = false;
  };

  /// Elementwise chains run kernel by kernel: neither the framework nor a compiler fuses them.
  bool Eager() const { return !context_.strategy->fused_kernels && !context_.strategy->compiled; }
  /// Transformer Engine narrows rows before it gathers them over tensor ranks. PyTorch scales 8-bit operands itself, a
  /// maximum and a cast, and does so before the gather with one scale a tensor only.
  /// Source  Transformer Engine, module/_common.py; torchao, float8/float8_tensor_parallel.py.
  bool GathersNarrow() const;
  int NewBuffer(Buffer buffer);
  /// Bytes of `buffer` on the wire, and the format that they have there.
  Collective Gathered(int buffer, Wire wire) const;
  int Narrowed(int x);
  int NarrowedGradient(int dy);
  Elementwise CastOf(int from, int to, bool gathered) const;
  void EmitLinearWeight(const std::string& name, Gemm product, int dy, int x, int weight);
  void EmitBiasGradient(const std::string& name, int dy, int bias);
  void EmitCollective(const std::string& name, const Collective& op, int x, int y);
  void ReduceGradient(int x);
  void DeriveBackward(int output);
  void ChooseKept();
  void LinkStreams(std::vector<Op>& ops) const;

  LayerContext context_;
  LayerProgram program_;
  std::vector<Node> nodes_;
  std::vector<Emitted> backward_;
  std::map<int, int> gradient_;            // activation -> its gradient
  std::map<int, int> parameter_gradient_;  // parameter -> its gradient
  std::map<int, int> gathered_from_;       // gathered buffer -> shard
  std::map<int, int> gathered_again_;
  std::map<int, int> cast_;             // buffer -> its 8-bit form
  std::map<int, std::string> reduced_;  // activations whose gradient is all-reduced over tp, by op name
  bool core_ = false;                   // recording (or deriving from) core attention
};

}  // namespace isochrone::plan
