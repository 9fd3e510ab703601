// Ops of a layer on the device, each a matmul or a few kernels.
#include <cmath>

#include "base/error.h"
#include "executor/cuda/device_rank.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;
constexpr float kEpsilon = 1e-5f;  // of normalisation, as PyTorch and Megatron-LM default to

}  // namespace

void DeviceRank::Missing(const Operands& o, const std::string& what) const {
  throw Error("op " + o.op->name + " of layer " + o.layer->program->name, "the CUDA executor does not run " + what,
              "run this model with --device cpu, or predict it");
}

void DeviceRank::RunOp(const Operands& o) {
  const auto missing = [&](const char* what) { Missing(o, what); };
  struct Visitor {
    DeviceRank& rank;
    const Operands& o;
    decltype(missing)& absent;
    void operator()(const plan::Gemm& g) const { rank.RunGemm(g, o); }
    void operator()(const plan::Attention& a) const { rank.RunAttention(a, o); }
    void operator()(const plan::Softmax& s) const { rank.RunSoftmax(s, o); }
    void operator()(const plan::Normalization& n) const { rank.RunNormalization(n, o); }
    void operator()(const plan::Elementwise& e) const { rank.RunElementwise(e, o); }
    void operator()(const plan::Embedding& e) const { rank.RunEmbedding(e, o); }
    void operator()(const plan::CrossEntropy& c) const { rank.RunCrossEntropy(c, o); }
    void operator()(const plan::Collective& c) const { rank.RunCollective(c, o); }
    void operator()(const plan::GroupedGemm&) const { absent("products of experts"); }
    void operator()(const plan::Route&) const { absent("routers of experts"); }
    void operator()(const plan::Permute&) const { absent("permutations of experts"); }
    void operator()(const plan::Scan&) const { absent("state-space scans"); }
    void operator()(const plan::Convolution&) const { absent("convolutions"); }
    void operator()(const plan::Recurrent&) const { absent("recurrent layers"); }
    void operator()(const plan::Transfer&) const { absent("transfers to host memory"); }
    void operator()(const plan::Message&) const { absent("messages inside a layer"); }
    void operator()(const plan::OptimizerUpdate&) const { absent("updates inside a layer"); }
    void operator()(const plan::GradientNorm&) const { absent("gradient norms inside a layer"); }
  };
  std::visit(Visitor{*this, o, missing}, o.op->kind);
}

void DeviceRank::RunGemm(const plan::Gemm& g, const Operands& o) {
  Matmul m{.m = g.m, .n = g.n, .k = g.k};
  m.ldc = g.n;
  switch (g.role) {
    case plan::GemmRole::kLinear:  // Y = X W^T + b
      m.transpose_b = true;
      m.lda = m.ldb = g.k;
      if (o.in.size() > 2) m.bias = o.In(2);
      break;
    case plan::GemmRole::kLinearGradInput:
      m.lda = g.k;
      m.ldb = g.n;
      break;
    case plan::GemmRole::kLinearGradWeight:
      m.transpose_a = true;
      m.lda = g.m;
      m.ldb = g.n;
      m.beta = 1;
      break;
    default:
      return RunAttentionProduct(g, o);
  }
  m.a = o.In(0);
  m.b = o.In(1);
  m.c = o.Out(0);
  MultiplyOn(o.op->name, m, o.in, o.out.at(0));
}

/// The batched products of unfused attention, for every key head of every sequence: its query heads are one batch.
void DeviceRank::RunAttentionProduct(const plan::Gemm& g, const Operands& o) {
  const plan::Model& model = *&scenario_.model;
  const Index tp = plan_.layout.tp, A = model.heads / tp, K = model.kv_heads / tp, D = model.head_dim;
  const Index S = model.sequence, packed = (A + 2 * K) * D, group = A / K, row = A * D;
  for (Index b = 0; b < g.batch / A; ++b) {
    for (Index head = 0; head < K; ++head) {
      const Index first = head * group, square = (b * A + first) * S * S, out = b * S * row + first * D;
      const Index query = b * S * packed + first * D, key = b * S * packed + (A + head) * D, value = key + K * D;
      Matmul m{.batch = group};
      const auto set = [&](bool ta, bool tb, Index rows, Index columns, Index inner) {
        m.transpose_a = ta;
        m.transpose_b = tb;
        m.m = rows, m.n = columns, m.k = inner;
      };
      const auto a = [&](const float* from, Index ld, Index stride) { m.a = from, m.lda = ld, m.stride_a = stride; };
      const auto with = [&](const float* from, Index ld, Index stride) { m.b = from, m.ldb = ld, m.stride_b = stride; };
      const auto c = [&](float* to, Index ld, Index stride) { m.c = to, m.ldc = ld, m.stride_c = stride; };
      bool adds = false;  // several query heads add to one key head: one after another
      switch (g.role) {
        case plan::GemmRole::kScores:
          set(false, true, S, S, D), a(o.In(0) + query, packed, D), with(o.In(0) + key, packed, 0);
          c(o.Out(0) + square, S, S * S);
          break;
        case plan::GemmRole::kContext:
          set(false, false, S, D, S), a(o.In(0) + square, S, S * S), with(o.In(1) + value, packed, 0);
          c(o.Out(0) + out, row, D);
          break;
        case plan::GemmRole::kGradProbabilities:
          set(false, true, S, S, D), a(o.In(0) + out, row, D), with(o.In(1) + value, packed, 0);
          c(o.Out(0) + square, S, S * S);
          break;
        case plan::GemmRole::kGradValues:
          set(true, false, S, D, S), a(o.In(0) + square, S, S * S), with(o.In(1) + out, row, D);
          c(o.Out(0) + value, packed, 0), adds = true;
          break;
        case plan::GemmRole::kGradQueries:
          set(false, false, S, D, S), a(o.In(0) + square, S, S * S), with(o.In(1) + key, packed, 0);
          c(o.Out(0) + query, packed, D);
          break;
        case plan::GemmRole::kGradKeys:
          set(true, false, S, D, S), a(o.In(0) + square, S, S * S), with(o.In(1) + query, packed, D);
          c(o.Out(0) + key, packed, 0), adds = true;
          break;
        default:
          ISO_CHECK_NOTE(false, o.op->name);
      }
      if (!adds) {
        MultiplyOn(o.op->name, m, o.in, o.out.at(0));
        continue;
      }
      m.batch = 1;
      for (Index j = 0; j < group; ++j, m.a += m.stride_a, m.b += m.stride_b) {
        m.beta = j == 0 ? 0.0f : 1.0f;
        MultiplyOn(o.op->name, m, o.in, o.out.at(0));
      }
    }
  }
}

void DeviceRank::RunAttention(const plan::Attention& a, const Operands& o) {
  if (a.qk_dim != a.v_dim || a.qk_dim > 256) Missing(o, "attention with heads over 256 or with values of another size");
  const Index packed = (a.heads + 2 * a.kv_heads) * a.qk_dim, key_at = a.heads * a.qk_dim;
  const Index value_at = key_at + a.kv_heads * a.qk_dim;
  const kernels::AttentionShape shape{.batch = a.batch,
                                      .queries = a.queries,
                                      .keys = a.keys,
                                      .heads = a.heads,
                                      .kv_heads = a.kv_heads,
                                      .head_size = a.qk_dim,
                                      .query_pitch = packed,
                                      .key_pitch = packed};
  const kernels::AttentionMask mask{.causal = a.causal, .window = a.window};
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(a.qk_dim)));
  if (a.pass == plan::Pass::kForward) {
    const float* qkv = o.In(0);
    float *out = o.Out(0), *lse = o.Out(1);
    return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
      on_device::Attention<float>(s, shape, mask, scale, qkv, qkv + key_at, qkv + value_at, out, lse);
    });
  }
  const Handle delta =
      memory_.Allocate(plan::BufferKind::kWorkspace,
                       static_cast<std::size_t>(a.batch * a.queries * a.heads) * sizeof(float), "attention's deltas");
  ZeroOn(o.out.at(0));  // gradients of queries, keys and values are added to
  const float *dout = o.In(0), *qkv = o.In(1), *out = o.In(2), *lse = o.In(3);
  float *dqkv = o.Out(0), *deltas = delta->As<float>();
  RunKernels(o.op->name, o.in, {o.out.at(0), delta.get()}, [=](Stream s) {
    on_device::AttentionBackward<float>(s, shape, mask, scale, qkv, qkv + key_at, qkv + value_at, out, lse, dout, dqkv,
                                        dqkv + key_at, dqkv + value_at, deltas);
  });
}

void DeviceRank::RunSoftmax(const plan::Softmax& p, const Operands& o) {
  const Index queries = scenario_.model.sequence, batch = p.rows / queries, keys = p.columns;
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(scenario_.model.head_dim)));
  const float* in = o.In(0);
  float* out = o.Out(0);
  const kernels::AttentionMask mask{.causal = p.causal};
  if (p.pass == plan::Pass::kForward) {
    return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
      on_device::MaskedSoftmax<float>(s, batch, queries, keys, scale, mask, in, out);
    });
  }
  const float* probabilities = o.In(1);
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    on_device::MaskedSoftmaxBackward<float>(s, batch, queries, keys, scale, probabilities, in, out);
  });
}

void DeviceRank::RunNormalization(const plan::Normalization& n, const Operands& o) {
  const bool layer = n.kind == plan::NormKind::kLayer;
  const Index rows = n.rows, columns = n.columns;
  if (n.pass == plan::Pass::kForward) {
    const float *x = o.In(0), *weight = o.In(1), *bias = layer ? o.In(2) : nullptr;
    float *out = o.Out(0), *statistics = o.Out(1);
    return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
      if (layer)
        on_device::LayerNorm<float>(s, rows, columns, kEpsilon, x, weight, bias, out, statistics, statistics + rows);
      else on_device::RmsNorm<float>(s, rows, columns, kEpsilon, x, weight, out, statistics);
    });
  }
  const float *dout = o.In(0), *x = o.In(1), *weight = o.In(2), *statistics = o.In(3);
  float *dx = o.Out(0), *dweight = o.Out(1), *dbias = layer ? o.Out(2) : nullptr;
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    if (layer)
      on_device::LayerNormBackward<float>(s, rows, columns, x, weight, statistics, statistics + rows, dout, dx, dweight,
                                          dbias);
    else on_device::RmsNormBackward<float>(s, rows, columns, x, weight, statistics, dout, dx, dweight);
  });
}

void DeviceRank::RunEmbedding(const plan::Embedding& e, const Operands& o) {
  const Index tokens = e.tokens, hidden = e.hidden, first = e.rows * at_.tp, last = first + e.rows;
  float* out = o.Out(0);
  if (e.pass == plan::Pass::kForward) {
    const std::int32_t* ids = o.Ids(0);
    const float* table = o.In(1);
    return RunKernels(o.op->name, o.in, o.out,
                      [=](Stream s) { on_device::Embedding<float>(s, tokens, hidden, first, last, ids, table, out); });
  }
  const float* dout = o.In(0);
  const std::int32_t* ids = o.Ids(1);
  RunKernels(o.op->name, o.in, o.out,
             [=](Stream s) { on_device::EmbeddingBackward<float>(s, tokens, hidden, first, last, ids, dout, out); });
}

/// As on the CPU: forward keeps the shard's logits and its statistics, backward makes the gradient from both.
void DeviceRank::RunCrossEntropy(const plan::CrossEntropy& c, const Operands& o) {
  const Index tokens = c.tokens, columns = c.columns, first = columns * at_.tp;
  const std::int32_t* labels = o.Ids(1);
  const float* logits = o.In(0);
  if (c.pass == plan::Pass::kForward) {
    float* maximum = o.Out(0);
    RunKernels(o.op->name, o.in, {o.out.at(0)}, [=](Stream s) {
      on_device::LogitMax<float>(s, tokens, columns, logits, maximum);
      on_device::LogitSums<float>(s, tokens, columns, first, logits, labels, maximum, maximum + tokens,
                                  maximum + 2 * tokens);
    });
    CopyOn(o.out.at(1), o.in.at(0), static_cast<std::size_t>(tokens * columns) * sizeof(float));
    if (plan_.layout.tp == 1) AddLoss(o.out.at(0), tokens);  // else the statistics are merged first
    return;
  }
  const float* maximum = o.In(2);
  float* dlogits = o.Out(0);
  const auto weight = static_cast<float>(1 / static_cast<double>(scenario_.batch.sequences * scenario_.model.sequence));
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    on_device::CrossEntropyGradient<float>(s, tokens, columns, first, logits, labels, maximum, maximum + tokens, weight,
                                           dlogits);
  });
}

void DeviceRank::AddLoss(Block* statistics, Index tokens) {
  const Handle losses =
      memory_.Allocate(plan::BufferKind::kWorkspace, static_cast<std::size_t>(tokens) * sizeof(float), "losses");
  const float* maximum = statistics->As<float>();
  float* loss = losses->As<float>();
  double* total = loss_->As<double>();
  const double weight = 1 / static_cast<double>(scenario_.batch.sequences * scenario_.model.sequence);
  RunKernels("loss", {statistics}, {losses.get(), loss_.get()}, [=](Stream s) {
    on_device::CrossEntropyLoss(s, tokens, maximum, maximum + tokens, maximum + 2 * tokens, loss);
    on_device::AddSum(s, tokens, loss, weight, total);
  });
}

void DeviceRank::RunCollective(const plan::Collective& c, const Operands& o) {
  const plan::Buffer &in = o.InBuffer(0), &out = o.OutBuffer(0);
  if (in.statistic) return MergeStatistics(o);
  const Comm* comm = CommOf(c.group);
  if (comm == nullptr) Missing(o, std::string("collectives over ") + plan::NameOf(c.group) + " of one rank");
  const auto count = static_cast<Index>(std::max(in.Elements(), out.Elements()));
  const float* from = o.In(0);
  float* to = o.Out(0);
  Enqueue(o.op->stream, {o.in.at(0)}, {o.out.at(0)}, [&](Stream stream) {
    switch (c.kind) {
      case plan::CollectiveKind::kAllReduce:
        return calls_.AllReduce(*comm, from, to, count, stream);
      case plan::CollectiveKind::kReduceScatter:
        return calls_.ReduceScatter(*comm, from, to, count, stream);
      case plan::CollectiveKind::kAllGather:
        return calls_.AllGather(*comm, from, to, count, stream);
      case plan::CollectiveKind::kAllToAll:
      case plan::CollectiveKind::kBroadcast:
      case plan::CollectiveKind::kRing:
        break;
    }
    Missing(o, std::string("the collective ") + plan::NameOf(c.kind));
  });
}

/// Cross-entropy over a sharded vocabulary: statistics of all shards, gathered and merged.
void DeviceRank::MergeStatistics(const Operands& o) {
  const Comm& comm = *CommOf(plan::Group::kTensor);
  const Index shards = comm.Size(), tokens = o.InBuffer(0).shape.back();
  const Handle all = memory_.Allocate(plan::BufferKind::kWorkspace,
                                      static_cast<std::size_t>(3 * tokens * shards) * sizeof(float), o.op->name);
  float *gathered = all->As<float>(), *merged = o.Out(0);
  const float* mine = o.In(0);
  Enqueue(o.op->stream, {o.in.at(0)}, {all.get()},
          [&](Stream stream) { calls_.AllGather(comm, mine, gathered, 3 * tokens * shards, stream); });
  RunKernels(o.op->name, {all.get()}, {o.out.at(0)},
             [=](Stream s) { on_device::MergeLogitStatistics(s, shards, tokens, gathered, merged); });
  AddLoss(o.out.at(0), tokens);
}

}  // namespace isochrone::executor::cuda
