// What is measured on one GPU: kernels bound by memory, products, attention.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "executor/cuda/gpu_bench.h"
#include "executor/packed_heads.h"
#include "kernels/cuda/launch.h"

namespace isochrone::executor::cuda {
namespace {

namespace on_device = kernels::cuda;
using plan::Dtype;

constexpr Index kColumns = 4096;     // of rows that are normalised, reduced or moved
constexpr double kUpdateBytes = 28;  // of AdamW, a parameter: four arrays of floats read, three written

std::size_t Bytes(Index floats) { return static_cast<std::size_t>(floats) * sizeof(float); }
/// Rows of kColumns floats whose reading and writing is `bytes`.
Index RowsOf(double bytes) { return std::max<Index>(1, static_cast<Index>(bytes / (2.0 * kColumns * sizeof(float)))); }

std::size_t OperandBytes(const BenchRequest::Product& p, Dtype dtype) {
  return static_cast<std::size_t>(p.batch * (p.m * p.k + p.n * p.k + p.m * p.n)) * SizeOf(FormatOf(dtype));
}
double FlopsOf(const BenchRequest::Product& p) { return 2.0 * static_cast<double>(p.batch * p.m * p.n * p.k); }

}  // namespace

void RankBench::AddStream(KernelTiming timing, std::size_t bytes, std::function<void(Stream, char*)> launch,
                          bool is_smallest) {
  const std::string name = timing.op;
  NeedOperands(bytes);
  AddProbe({.name = name,
            .launch =
                [=, this](Stream stream, Index i) {
                  char* operands = Operands(bytes, i);
                  RunOn(name, stream, operands, bytes, [=](Stream s) { launch(s, operands); });
                },
            .note =
                [=, this](double seconds, double spread) mutable {
                  timing.seconds = seconds, timing.spread = spread;
                  timings_.kernels.push_back(timing);
                  if (is_smallest) timings_.launch_s = seconds;
                }});
}

/// The launch floor, then every kind of kernel that a memory curve has a constant for.
void RankBench::AddStreams() {
  Fill(Format::kFloat, true);
  const auto sum = [](Index n) {
    return [n](Stream s, char* at) {
      float* x = reinterpret_cast<float*>(at);
      on_device::Add<float>(s, n, x, x + n, x + 2 * n);
    };
  };
  constexpr Index kSmallest = 32;
  AddStream({.op = "elementwise", .bytes = 3.0 * static_cast<double>(Bytes(kSmallest))}, Bytes(3 * kSmallest),
            sum(kSmallest), true);
  for (const double bytes : request_.stream_bytes) {
    const Index n = static_cast<Index>(bytes / 3 / sizeof(float)) / 4 * 4, rows = RowsOf(bytes),
                cells = rows * kColumns;
    AddStream({.op = "elementwise", .bytes = 3.0 * static_cast<double>(Bytes(n))}, Bytes(3 * n), sum(n));
    AddStream({.op = "softmax", .m = rows, .n = kColumns}, Bytes(2 * cells), [=](Stream s, char* at) {
      float* x = reinterpret_cast<float*>(at);
      on_device::MaskedSoftmax<float>(s, 1, rows, kColumns, 1.0f, {.causal = false}, x, x + cells);
    });
    AddStream({.op = "normalization", .m = rows, .n = kColumns}, Bytes(2 * cells + 2 * kColumns + 2 * rows),
              [=](Stream s, char* at) {
                float *x = reinterpret_cast<float*>(at), *out = x + cells, *weight = out + cells;
                float* statistics = weight + 2 * kColumns;
                on_device::LayerNorm<float>(s, rows, kColumns, 1e-5f, x, weight, weight + kColumns, out, statistics,
                                            statistics + rows);
              });
    AddScatter(bytes);
    const Index parameters = std::max<Index>(4, static_cast<Index>(bytes / kUpdateBytes) / 4 * 4);
    AddStream({.op = "optimizer", .bytes = kUpdateBytes * static_cast<double>(parameters)}, Bytes(4 * parameters + 4),
              [=](Stream s, char* at) {
                float* g = reinterpret_cast<float*>(at);
                const on_device::TensorUpdate one{
                    g, g + parameters, g + 2 * parameters, g + 3 * parameters, parameters, true};
                on_device::AdamW(s, 1, kernels::AdamWOptions{}, g + 4 * parameters, {&one, 1});
              });
  }
}

/// Rows to random places, as to experts.
void RankBench::AddScatter(double bytes) {
  const Index rows = RowsOf(bytes), cells = rows * kColumns;
  std::vector<Index> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  const std::size_t size = order.size() * sizeof(Index);
  const auto places = memory_.Allocate(plan::BufferKind::kWorkspace, size, "rows of a permutation");
  const auto pinned = std::make_shared<PinnedMemory>(calls_, size);
  std::copy(order.begin(), order.end(), pinned->As<Index>());
  rounds_.push_back({[=, this] {
                       calls_.Copy(places->As<void>(), pinned->As<void>(), size, compute_);
                       busy_.push_back(compute_);
                     },
                     [] {}});
  AddStream({.op = "scatter", .m = rows, .n = kColumns}, Bytes(2 * cells), [=](Stream s, char* at) {
    float* x = reinterpret_cast<float*>(at);
    on_device::Permute<float>(s, rows, 1, kColumns, places->As<Index>(), x, x + cells);
  });
}

void RankBench::LaunchProduct(const BenchRequest::Product& p, Dtype dtype, Stream stream, Index i) {
  const std::size_t bytes = OperandBytes(p, dtype), number = SizeOf(FormatOf(dtype));
  char* at = Operands(bytes, i);
  const auto after = [&](Index elements) { return at += static_cast<std::size_t>(elements) * number; };
  Matmul m{.transpose_b = true, .m = p.m, .n = p.n, .k = p.k, .lda = p.k, .ldb = p.k, .ldc = p.n, .batch = p.batch};
  m.stride_a = p.m * p.k, m.stride_b = p.n * p.k, m.stride_c = p.m * p.n;
  m.a = at;
  m.b = after(p.batch * m.stride_a);
  m.c = after(p.batch * m.stride_b);
  m.in = m.out = FormatOf(dtype);
  m.arithmetic = dtype == Dtype::kTf32 ? Arithmetic::kTf32 : Arithmetic::kFloat;
  const Access accesses[] = {{m.a, static_cast<std::size_t>(p.batch * m.stride_a) * number, false},
                             {m.b, static_cast<std::size_t>(p.batch * m.stride_b) * number, false},
                             {m.c, static_cast<std::size_t>(p.batch * m.stride_c) * number, true}};
  calls_.Multiply("gemm", m, accesses, stream);
}

void RankBench::AddProducts(Dtype dtype) {
  if (request_.products.empty()) return;
  Fill(FormatOf(dtype), false);
  const auto largest = std::max_element(request_.products.begin(), request_.products.end(),
                                        [](const auto& a, const auto& b) { return FlopsOf(a) < FlopsOf(b); });
  for (auto p = request_.products.begin(); p != request_.products.end(); ++p) {
    const BenchRequest::Product product = *p;
    NeedOperands(OperandBytes(product, dtype));
    AddProbe({.name = std::string("products in ") + plan::NameOf(dtype),
              .launch = [=, this](Stream stream, Index i) { LaunchProduct(product, dtype, stream, i); },
              .note =
                  [=, this](double seconds, double spread) {
                    timings_.kernels.push_back({.op = "gemm",
                                                .dtype = dtype,
                                                .batch = product.batch,
                                                .m = product.m,
                                                .n = product.n,
                                                .k = product.k,
                                                .seconds = seconds,
                                                .spread = spread});
                  },
              .tells_state = p == largest});
  }
}

/// The executor's own kernel, on CUDA cores, so that what it runs can be predicted; queries, keys and values packed.
void RankBench::AddAttention(const BenchRequest::Attention& a, bool backward) {
  const PackedHeads heads{a.heads, a.heads, a.head_dim};
  const kernels::AttentionShape shape = heads.Shape(a.batch, a.queries, a.queries);
  const Index tokens = a.batch * a.queries, width = heads.KeyAt(), packed = heads.Packed();
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(a.head_dim)));
  if (!backward) Fill(Format::kFloat, false);
  AddStream({.op = "attention",
             .backward = backward,
             .batch = a.batch,
             .heads = a.heads,
             .kv_heads = a.heads,
             .queries = a.queries,
             .keys = a.queries,
             .head_dim = a.head_dim,
             .causal = true},
            Bytes(tokens * (2 * packed + 2 * width + 2 * a.heads)), [=](Stream s, char* at) {
              float *qkv = reinterpret_cast<float*>(at), *out = qkv + tokens * packed, *lse = out + tokens * width;
              float *dout = lse + tokens * a.heads, *dqkv = dout + tokens * width, *delta = dqkv + tokens * packed;
              const kernels::AttentionMask mask{.causal = true};
              if (backward) {
                on_device::AttentionBackward<float>(s, shape, mask, scale, qkv, qkv + width, qkv + 2 * width, out, lse,
                                                    dout, dqkv, dqkv + width, dqkv + 2 * width, delta);
              } else {
                on_device::Attention<float>(s, shape, mask, scale, qkv, qkv + width, qkv + 2 * width, out, lse);
              }
            });
}

}  // namespace isochrone::executor::cuda
