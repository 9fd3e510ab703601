// Ops of a layer on the device, each a matmul or a few kernels.
#include <type_traits>

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
  WithFormat(run_.format, [&](auto zero) { RunOpIn<decltype(zero)>(o); });
}

template <class T>
void DeviceRank::RunOpIn(const Operands& o) {
  const auto missing = [&](const char* what) { Missing(o, what); };
  struct Visitor {
    DeviceRank& rank;
    const Operands& o;
    decltype(missing)& absent;
    void operator()(const plan::Gemm& g) const { rank.RunGemm<T>(g, o); }
    void operator()(const plan::Attention& a) const { rank.RunAttention<T>(a, o); }
    void operator()(const plan::Softmax& s) const { rank.RunSoftmax<T>(s, o); }
    void operator()(const plan::Normalization& n) const { rank.RunNormalization<T>(n, o); }
    void operator()(const plan::Elementwise& e) const { rank.RunElementwise<T>(e, o); }
    void operator()(const plan::Embedding& e) const { rank.RunEmbedding<T>(e, o); }
    void operator()(const plan::CrossEntropy& c) const { rank.RunCrossEntropy<T>(c, o); }
    void operator()(const plan::Collective& c) const { rank.RunCollective<T>(c, o); }
    void operator()(const plan::GroupedGemm& g) const { rank.RunGrouped<T>(g, o); }
    void operator()(const plan::Route& r) const { rank.RunRoute<T>(r, o); }
    void operator()(const plan::Permute& p) const { rank.RunPermute<T>(p, o); }
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

template <class T>
void DeviceRank::RunGemm(const plan::Gemm& g, const Operands& o) {
  Matmul m{.m = g.m, .n = g.n, .k = g.k};
  m.in = m.out = kFormatOf<T>;
  m.ldc = g.n;
  switch (g.role) {
    case plan::GemmRole::kLinear:  // Y = X W^T + b
      m.transpose_b = true;
      m.lda = m.ldb = g.k;
      if (o.in.size() > 2) m.bias = o.In<T>(2);
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
      m.out = Format::kFloat;  // gradients add up in float
      break;
    default:
      return RunAttentionProduct<T>(g, o);
  }
  m.a = o.In<T>(0);
  m.b = o.In<T>(1);
  m.c = o.Out<void>(0);
  MultiplyOn(o.op->name, m, o.in, o.out.at(0));
}

/// The batched products of unfused attention, for every key head of every sequence: its query heads are one batch.
template <class T>
void DeviceRank::RunAttentionProduct(const plan::Gemm& g, const Operands& o) {
  const SquareHeads heads = HeadsOf(scenario_.model, *o.layer->program, *o.op);
  const Index A = heads.query, K = heads.key, D = heads.size, S = heads.positions;
  const Index packed = heads.Packed(), group = A / K, row = A * D;
  for (Index b = 0; b < g.batch / A; ++b) {
    for (Index head = 0; head < K; ++head) {
      const Index first = head * group, square = (b * A + first) * S * S, out = b * S * row + first * D;
      const Index query = b * S * packed + first * D, key = b * S * packed + (A + head) * D, value = key + K * D;
      Matmul m{.batch = group, .in = kFormatOf<T>, .out = kFormatOf<T>};
      const auto set = [&](bool ta, bool tb, Index rows, Index columns, Index inner) {
        m.transpose_a = ta;
        m.transpose_b = tb;
        m.m = rows, m.n = columns, m.k = inner;
      };
      const auto a = [&](const T* from, Index ld, Index stride) { m.a = from, m.lda = ld, m.stride_a = stride; };
      const auto with = [&](const T* from, Index ld, Index stride) { m.b = from, m.ldb = ld, m.stride_b = stride; };
      const auto c = [&](T* to, Index ld, Index stride) { m.c = to, m.ldc = ld, m.stride_c = stride; };
      bool adds = false;  // several query heads add to one key head: one after another
      switch (g.role) {
        case plan::GemmRole::kScores:
          set(false, true, S, S, D), a(o.In<T>(0) + query, packed, D), with(o.In<T>(0) + key, packed, 0);
          c(o.Out<T>(0) + square, S, S * S);
          break;
        case plan::GemmRole::kContext:
          set(false, false, S, D, S), a(o.In<T>(0) + square, S, S * S), with(o.In<T>(1) + value, packed, 0);
          c(o.Out<T>(0) + out, row, D);
          break;
        case plan::GemmRole::kGradProbabilities:
          set(false, true, S, S, D), a(o.In<T>(0) + out, row, D), with(o.In<T>(1) + value, packed, 0);
          c(o.Out<T>(0) + square, S, S * S);
          break;
        case plan::GemmRole::kGradValues:
          set(true, false, S, D, S), a(o.In<T>(0) + square, S, S * S), with(o.In<T>(1) + out, row, D);
          c(o.Out<T>(0) + value, packed, 0), adds = true;
          break;
        case plan::GemmRole::kGradQueries:
          set(false, false, S, D, S), a(o.In<T>(0) + square, S, S * S), with(o.In<T>(1) + key, packed, 0);
          c(o.Out<T>(0) + query, packed, D);
          break;
        case plan::GemmRole::kGradKeys:
          set(true, false, S, D, S), a(o.In<T>(0) + square, S, S * S), with(o.In<T>(1) + query, packed, D);
          c(o.Out<T>(0) + key, packed, 0), adds = true;
          break;
        default:
          ISO_CHECK_NOTE(false, o.op->name);
      }
      if (!adds) {
        MultiplyOn(o.op->name, m, o.in, o.out.at(0));
        continue;
      }
      m.batch = 1;
      const T *of_a = static_cast<const T*>(m.a), *of_b = static_cast<const T*>(m.b);
      for (Index j = 0; j < group; ++j) {
        m.a = of_a + j * m.stride_a, m.b = of_b + j * m.stride_b;
        m.beta = j == 0 ? 0.0f : 1.0f;
        MultiplyOn(o.op->name, m, o.in, o.out.at(0));
      }
    }
  }
}

template <class T>
void DeviceRank::RunAttention(const plan::Attention& a, const Operands& o) {
  if (a.qk_dim != a.v_dim || a.qk_dim > 256) Missing(o, "attention with heads over 256 or with values of another size");
  const bool parts = plan_.layout.cp > 1 && scenario_.strategy.context_form != plan::ContextForm::kUlysses;
  if (parts) return RunContextAttention<T>(a, o);
  const PackedHeads heads = HeadsOf(a);
  const kernels::AttentionShape shape = heads.Shape(a.batch, a.queries, a.keys);
  const Index key_at = heads.KeyAt(), value_at = heads.ValueAt();
  const kernels::AttentionMask mask{.causal = a.causal, .window = a.window};
  const float scale = AttentionScale(a.qk_dim);
  if (a.pass == plan::Pass::kForward) {
    const T* qkv = o.In<T>(0);
    T* out = o.Out<T>(0);
    float* lse = o.Out<float>(1);
    return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
      on_device::Attention<T>(s, shape, mask, scale, qkv, qkv + key_at, qkv + value_at, out, lse);
    });
  }
  const Handle delta = Workspace<float>(a.batch * a.queries * a.heads, "attention's deltas");
  const Sums sums = SumsOf<T>(o, 0, a.batch * a.queries * heads.Packed());
  const T *dout = o.In<T>(0), *qkv = o.In<T>(1), *out = o.In<T>(2);
  const float* lse = o.In<float>(3);
  float *dqkv = sums.Data(), *deltas = delta->As<float>();
  RunKernels(o.op->name, o.in, {sums.block, delta.get()}, [=](Stream s) {
    on_device::AttentionBackward<T>(s, shape, mask, scale, qkv, qkv + key_at, qkv + value_at, out, lse, dout, dqkv,
                                    dqkv + key_at, dqkv + value_at, deltas);
  });
  RoundSums<T>(o, 0, sums);
}

template <class T>
void DeviceRank::RunSoftmax(const plan::Softmax& p, const Operands& o) {
  const Index queries = p.columns, batch = p.rows / queries, keys = p.columns;  // a square
  const float scale = AttentionScale(scenario_.model.head_dim);
  const T* in = o.In<T>(0);
  T* out = o.Out<T>(0);
  const kernels::AttentionMask mask{.causal = p.causal};
  if (p.pass == plan::Pass::kForward) {
    return RunKernels(o.op->name, o.in, o.out,
                      [=](Stream s) { on_device::MaskedSoftmax<T>(s, batch, queries, keys, scale, mask, in, out); });
  }
  const T* probabilities = o.In<T>(1);
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    on_device::MaskedSoftmaxBackward<T>(s, batch, queries, keys, scale, probabilities, in, out);
  });
}

template <class T>
void DeviceRank::RunNormalization(const plan::Normalization& n, const Operands& o) {
  const bool layer = n.kind == plan::NormKind::kLayer;
  const Index rows = n.rows, columns = n.columns;
  if (n.pass == plan::Pass::kForward) {
    const T *x = o.In<T>(0), *weight = o.In<T>(1), *bias = layer ? o.In<T>(2) : nullptr;
    T* out = o.Out<T>(0);
    float* statistics = o.Out<float>(1);
    return RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
      if (layer)
        on_device::LayerNorm<T>(s, rows, columns, kEpsilon, x, weight, bias, out, statistics, statistics + rows);
      else on_device::RmsNorm<T>(s, rows, columns, kEpsilon, x, weight, out, statistics);
    });
  }
  const T *dout = o.In<T>(0), *x = o.In<T>(1), *weight = o.In<T>(2);
  const float* statistics = o.In<float>(3);
  T* dx = o.Out<T>(0);
  float *dweight = o.Out<float>(1), *dbias = layer ? o.Out<float>(2) : nullptr;
  RunKernels(o.op->name, o.in, o.out, [=](Stream s) {
    if (layer)
      on_device::LayerNormBackward<T>(s, rows, columns, x, weight, statistics, statistics + rows, dout, dx, dweight,
                                      dbias);
    else on_device::RmsNormBackward<T>(s, rows, columns, x, weight, statistics, dout, dx, dweight);
  });
}

template <class T>
void DeviceRank::RunEmbedding(const plan::Embedding& e, const Operands& o) {
  const Index tokens = e.tokens, hidden = e.hidden, first = e.rows * at_.tp, last = first + e.rows;
  if (e.pass == plan::Pass::kForward) {
    const std::int32_t* ids = o.Ids(0);
    const T* table = o.In<T>(1);
    T* out = o.Out<T>(0);
    return RunKernels(o.op->name, o.in, o.out,
                      [=](Stream s) { on_device::Embedding<T>(s, tokens, hidden, first, last, ids, table, out); });
  }
  const T* dout = o.In<T>(0);
  const std::int32_t* ids = o.Ids(1);
  float* dtable = o.Out<float>(0);
  RunKernels(o.op->name, o.in, o.out,
             [=](Stream s) { on_device::EmbeddingBackward<T>(s, tokens, hidden, first, last, ids, dout, dtable); });
}

/// As on the CPU: forward keeps the shard's logits (in float) and its statistics, backward makes the gradient from
/// both. Gradients of fp16 are scaled from here on, so that small ones do not vanish.
template <class T>
void DeviceRank::RunCrossEntropy(const plan::CrossEntropy& c, const Operands& o) {
  const Index tokens = c.tokens, columns = c.columns, first = columns * at_.tp;
  const std::int32_t* labels = o.Ids(1);
  if (c.pass == plan::Pass::kForward) {
    const T* logits = o.In<T>(0);
    float* maximum = o.Out<float>(0);
    RunKernels(o.op->name, o.in, {o.out.at(0)}, [=](Stream s) {
      on_device::LogitMax<T>(s, tokens, columns, logits, maximum);
      on_device::LogitSums<T>(s, tokens, columns, first, logits, labels, maximum, maximum + tokens,
                              maximum + 2 * tokens);
    });
    if constexpr (std::is_same_v<T, float>)
      CopyOn(o.out.at(1), o.in.at(0), static_cast<std::size_t>(tokens * columns) * sizeof(float));
    else CastOn<T, float>(tokens * columns, o.in.at(0), o.out.at(1));
    if (plan_.layout.tp == 1) AddLoss(o.out.at(0), tokens);  // else the statistics are merged first
    return;
  }
  const float *logits = o.In<float>(0), *maximum = o.In<float>(2);
  const Handle wide = WideOf<T>(tokens * columns);
  Block* result = wide ? wide.get() : o.out.at(0);
  float* dlogits = result->As<float>();
  const auto weight = static_cast<float>(loss_scale_.Value() /
                                         static_cast<double>(scenario_.batch.sequences * scenario_.model.sequence));
  RunKernels(o.op->name, o.in, {result}, [=](Stream s) {
    on_device::CrossEntropyGradient<float>(s, tokens, columns, first, logits, labels, maximum, maximum + tokens, weight,
                                           dlogits);
  });
  if (wide) CastOn<float, T>(tokens * columns, wide.get(), o.out.at(0));
}

void DeviceRank::AddLoss(Block* statistics, Index tokens) {
  const Handle losses = Workspace<float>(tokens, "losses");
  const float* maximum = statistics->As<float>();
  float* loss = losses->As<float>();
  double* total = loss_->As<double>();
  const double weight = 1 / static_cast<double>(scenario_.batch.sequences * scenario_.model.sequence);
  RunKernels("loss", {statistics}, {losses.get(), loss_.get()}, [=](Stream s) {
    on_device::CrossEntropyLoss(s, tokens, maximum, maximum + tokens, maximum + 2 * tokens, loss);
    on_device::AddSum(s, tokens, loss, weight, total);
  });
}

template <class T>
void DeviceRank::RunCollective(const plan::Collective& c, const Operands& o) {
  const plan::Buffer &in = o.InBuffer(0), &out = o.OutBuffer(0);
  if (in.statistic) return MergeStatistics(o);
  if (c.group == plan::Group::kContext) return RunContextCollective<T>(c, o);
  if (c.group == plan::Group::kExpert && c.kind == plan::CollectiveKind::kAllToAll) return ExchangeRows<T>(o);
  if (c.group == plan::Group::kExpertTensor)
    return ExchangeExpertTensor<T>(o, c.kind == plan::CollectiveKind::kReduceScatter);
  const Comm* comm = CommOf(c.group);
  if (comm == nullptr) Missing(o, std::string("collectives over ") + plan::NameOf(c.group) + " of one rank");
  const auto count = static_cast<Index>(std::max(in.Elements(), out.Elements()));
  const void* from = o.In<void>(0);
  void* to = o.Out<void>(0);
  Enqueue(o.op->stream, {o.in.at(0)}, {o.out.at(0)}, [&](Stream stream) {
    switch (c.kind) {
      case plan::CollectiveKind::kAllReduce:
        return calls_.AllReduce(*comm, from, to, count, run_.format, stream);
      case plan::CollectiveKind::kReduceScatter:
        return calls_.ReduceScatter(*comm, from, to, count, run_.format, stream);
      case plan::CollectiveKind::kAllGather:
        return calls_.AllGather(*comm, from, to, count, run_.format, stream);
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
  const Handle all = Workspace<float>(3 * tokens * shards, o.op->name);
  float *gathered = all->As<float>(), *merged = o.Out<float>(0);
  const float* mine = o.In<float>(0);
  Enqueue(o.op->stream, {o.in.at(0)}, {all.get()},
          [&](Stream stream) { calls_.AllGather(comm, mine, gathered, 3 * tokens * shards, Format::kFloat, stream); });
  RunKernels(o.op->name, {all.get()}, {o.out.at(0)},
             [=](Stream s) { on_device::MergeLogitStatistics(s, shards, tokens, gathered, merged); });
  AddLoss(o.out.at(0), tokens);
}

}  // namespace isochrone::executor::cuda
