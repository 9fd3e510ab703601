#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/units.h"
#include "plan/dtype.h"

namespace isochrone::plan {

/// Queues of one GPU. Work on one stream runs in order; streams run beside each other.
enum class Stream : std::uint8_t { kCompute, kTensor, kContext, kExpert, kPipeline, kData, kCopy };
inline constexpr int kStreams = 7;
const char* NameOf(Stream stream);

/// Process groups of a rank; see layout.h for who is in them.
enum class Group : std::uint8_t {
  kTensor,        // tp
  kContext,       // cp
  kData,          // dp
  kDataContext,   // dp · cp: dense gradients and their shards
  kExpert,        // ep
  kExpertTensor,  // etp
  kExpertData,    // edp: expert gradients
  kPipeline,      // pp
  kEmbedding,     // first and last pipeline rank, which share a tied embedding
  kModel,         // tp · pp: gradient norm
  kWorld,
  kShard,    // of the dp · cp ranks, those that hold one copy of a sharded state between them
  kReplica,  // the ranks that hold the same shard in other copies
  kTwin      // pipeline ranks r and pp − 1 − r, which hold the same stages of a bidirectional schedule
};
inline constexpr int kGroups = 14;
const char* NameOf(Group group);

enum class Pass : std::uint8_t { kForward, kBackward };

/// What a product means to the executor. kLinear: Y = X Wᵀ with W stored (out, in). The others are the batched products
/// of unfused attention over packed qkv, see tape.h for their operands.
enum class GemmRole : std::uint8_t {
  kLinear,
  kLinearGradInput,
  kLinearGradWeight,
  kScores,
  kContext,
  kGradProbabilities,
  kGradValues,
  kGradQueries,
  kGradKeys
};

/// C[m,n] = A[m,k] B[k,n], `batch` times. Row-major storage; a transposed operand is stored the other way.
struct Gemm {
  GemmRole role = GemmRole::kLinear;
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  Dtype dtype = Dtype::kBf16;   // of A and B as multiplied
  Dtype output = Dtype::kBf16;  // of C
  bool transpose_a = false, transpose_b = false;
  bool accumulate = false;  // C += A B
  bool bias = false;        // kLinear: C = A B + b, b (n)
  bool operator==(const Gemm&) const = default;
};

/// Σ rows = tokens that reach the local experts; expert e multiplies its rows_e × k by its own k × n.
struct GroupedGemm {
  std::int64_t experts = 1;  // local experts
  double rows = 0;           // expected rows over all local experts, padding of the form included
  double rows_fullest = 0;   // expected rows of the fullest local expert
  std::int64_t n = 0, k = 0;
  Dtype dtype = Dtype::kBf16, output = Dtype::kBf16;
  bool weight_gradient = false;  // n × k per expert, summed over rows
  bool operator==(const GroupedGemm&) const = default;
};

/// Fused (flash) attention over `batch` sequences. Causal: query i sees keys j ≤ i + keys − queries.
struct Attention {
  Pass pass = Pass::kForward;
  std::int64_t batch = 1, heads = 1, kv_heads = 1, queries = 0, keys = 0;
  std::int64_t qk_dim = 0, v_dim = 0;
  bool causal = true;
  std::int64_t window = 0;  // tokens a query sees; 0: all
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Attention&) const = default;
};

/// Scale, mask and softmax over the last axis of (rows, columns); one pass over memory where `fused`.
struct Softmax {
  Pass pass = Pass::kForward;
  std::int64_t rows = 0, columns = 0;
  bool causal = true, fused = true;
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Softmax&) const = default;
};

enum class NormKind : std::uint8_t { kLayer, kRms };
struct Normalization {
  Pass pass = Pass::kForward;
  NormKind kind = NormKind::kLayer;
  std::int64_t rows = 0, columns = 0;  // (T, H)
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Normalization&) const = default;
};

/// One pass over memory. What it computes matters to the executor, the bytes to the cost model.
enum class ElementwiseKind : std::uint8_t {
  kBias,
  kGelu,
  kSwiglu,
  kGeglu,
  kSquaredRelu,
  kSilu,
  kDropout,
  kAdd,
  kBiasGelu,
  kBiasDropoutAdd,
  kRope,
  kScale,
  kCast,
  kCopy,
  kMultiply,
  kZero,
  kRelu
};
const char* NameOf(ElementwiseKind kind);
struct Elementwise {
  Pass pass = Pass::kForward;
  ElementwiseKind kind = ElementwiseKind::kAdd;
  std::int64_t rows = 0, columns = 0;  // of the result
  Bytes read, written;
  double flops_per_element = 1;
  bool draws = false;  // a random number for each element of the result
  bool operator==(const Elementwise&) const = default;
};

struct Embedding {
  Pass pass = Pass::kForward;
  std::int64_t tokens = 0, hidden = 0, rows = 0;  // rows: of the local vocabulary shard
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Embedding&) const = default;
};

/// Loss over vocabulary-sharded logits (tokens, columns). `fused`: one kernel leaves the gradient for a loss of one in
/// the logits' place and the backward pass scales it.
struct CrossEntropy {
  Pass pass = Pass::kForward;
  std::int64_t tokens = 0, columns = 0;
  Dtype dtype = Dtype::kBf16;  // of the logits
  bool fused = false;
  bool operator==(const CrossEntropy&) const = default;
};

enum class CollectiveKind : std::uint8_t { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kBroadcast, kRing };
const char* NameOf(CollectiveKind kind);
/// `bytes`: all-reduce, broadcast: the buffer of each rank. All-gather: the gathered result. Reduce-scatter: the input
/// of each rank. All-to-all: what each rank sends in total, its own part included. Ring (one step of ring attention):
/// what each rank passes on.
struct Collective {
  CollectiveKind kind = CollectiveKind::kAllReduce;
  Group group = Group::kTensor;
  Bytes bytes;
  Dtype dtype = Dtype::kBf16;
  double imbalance = 1;  // all-to-all: the busiest rank's bytes over the mean
  bool operator==(const Collective&) const = default;
};

/// Point-to-point to the next (or previous) pipeline stage.
struct Message {
  Bytes bytes;
  bool operator==(const Message&) const = default;
};

enum class OptimizerKind : std::uint8_t { kAdam, kAdam8bit, kGaloreAdam, kSgd };
/// Update of `parameters` local parameters, moving `bytes_per_parameter`.
struct OptimizerUpdate {
  OptimizerKind kind = OptimizerKind::kAdam;
  double parameters = 0, bytes_per_parameter = 0;
  bool operator==(const OptimizerUpdate&) const = default;
};

/// Gradient norm or clip over local gradients, and the passes that the framework's gradient buffers take beside it:
/// reads and writes `bytes`.
struct GradientNorm {
  Bytes bytes;
  bool operator==(const GradientNorm&) const = default;
};

enum class TransferKind : std::uint8_t { kToHost, kFromHost, kToNvme, kFromNvme };
struct Transfer {
  TransferKind kind = TransferKind::kToHost;
  Bytes bytes;
  bool operator==(const Transfer&) const = default;
};

/// Router of a mixture of experts: softmax and top-k over (tokens, experts) scores.
struct Route {
  Pass pass = Pass::kForward;
  std::int64_t tokens = 0, experts = 0, topk = 1;
  bool operator==(const Route&) const = default;
};
/// Rows to and from expert order. `rows` expected rows moved, `hidden` columns.
struct Permute {
  Pass pass = Pass::kForward;
  bool restore = false;  // false: into expert order; true: back, the rows of a token added up
  double rows = 0;
  std::int64_t hidden = 0, topk = 1;
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Permute&) const = default;
};

/// Mamba-2 state-space scan in chunks. Dao & Gu, arXiv 2405.21060.
struct Scan {
  Pass pass = Pass::kForward;
  std::int64_t batch = 1, length = 0, heads = 0, head_dim = 0, groups = 1, state = 0, chunk = 256;
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Scan&) const = default;
};

/// Causal depthwise convolution (Mamba) where channels_out = 0, else a 2-D convolution (Deep Speech 2).
struct Convolution {
  Pass pass = Pass::kForward;
  std::int64_t batch = 1, height = 1, width = 0, channels_in = 0, channels_out = 0;
  std::int64_t kernel_height = 1, kernel_width = 0, stride_height = 1, stride_width = 1;
  Dtype dtype = Dtype::kBf16;
  bool operator==(const Convolution&) const = default;
};

enum class RecurrentKind : std::uint8_t { kRnn, kGru, kLstm };
/// The part of a recurrent layer that runs step by step: `steps` products of (batch, hidden) by (hidden, gates ·
/// hidden).
struct Recurrent {
  Pass pass = Pass::kForward;
  RecurrentKind kind = RecurrentKind::kGru;
  std::int64_t batch = 1, steps = 0, hidden = 0;
  bool bidirectional = false;
  Dtype dtype = Dtype::kFp32;
  bool operator==(const Recurrent&) const = default;
};

/// Every engine visits this variant without a default, so an op kind that an engine forgot does not compile.
using OpKind =
    std::variant<Gemm, GroupedGemm, Attention, Softmax, Normalization, Elementwise, Embedding, CrossEntropy, Collective,
                 Message, OptimizerUpdate, GradientNorm, Transfer, Route, Permute, Scan, Convolution, Recurrent>;

/// One step of a program. Ops of one stream run in the order of the list; an op on another stream starts when the
/// ops of `after` (indices into the same list) have ended, and whoever needs its result names it in `after`.
struct Op {
  std::string name;  // the tensor or parameter it is known by: "qkv", "attention_norm"
  Stream stream = Stream::kCompute;
  OpKind kind;
  std::vector<int> in, out;  // buffers of the program, in the order that the op's kernel documents
  std::vector<int> after;    // beyond the order of its own stream
  bool operator==(const Op&) const = default;
};

/// Multiply-adds of the matrix products in `op`, counted as two each; 0 for what is bound by memory. Attention counts
/// every key where `full_attention`, else those that the mask lets through.
Flops MatrixFlopsOf(const Op& op, bool full_attention);

}  // namespace isochrone::plan
