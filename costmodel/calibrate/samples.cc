#include "costmodel/calibrate/samples.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "costmodel/calibrate/csv.h"
#include "costmodel/calibrate/operator_factors.h"

namespace isochrone::costmodel {

namespace {

using plan::Dtype;
using plan::Pass;

std::int64_t Whole(double x) { return std::llround(x); }

std::optional<Dtype> DtypeOf(const std::string& name) {
  static const std::map<std::string, Dtype> names = {
      {"bfloat16", Dtype::kBf16}, {"bf16", Dtype::kBf16},   {"float16", Dtype::kFp16},
      {"fp16", Dtype::kFp16},     {"fp8", Dtype::kFp8},     {"fp32", Dtype::kFp32},
      {"tf32", Dtype::kTf32},     {"mxfp8", Dtype::kMxfp8}, {"nvfp4", Dtype::kNvfp4}};
  const auto it = names.find(name);
  return it == names.end() ? std::nullopt : std::optional(it->second);
}

plan::Gemm Product(double batch, double m, double n, double k, Dtype dtype, bool transpose_b) {
  plan::Gemm gemm;
  gemm.batch = Whole(batch), gemm.m = Whole(m), gemm.n = Whole(n), gemm.k = Whole(k);
  gemm.dtype = dtype;
  gemm.output = dtype == Dtype::kFp8 || dtype == Dtype::kMxfp8 || dtype == Dtype::kNvfp4 ? Dtype::kBf16 : dtype;
  gemm.transpose_b = transpose_b;
  return gemm;
}

plan::Elementwise Streamed(double bytes) {
  plan::Elementwise op;
  op.kind = plan::ElementwiseKind::kCopy;
  op.read = op.written = Bytes(bytes / 2);
  return op;
}

// ---- one reader for each header -------------------------------------------------------------------------------------

void ReadProducts(const Csv& csv, std::vector<Sample>& samples) {
  const std::size_t dtype = csv.Column("gemm_dtype"), m = csv.Column("m"), n = csv.Column("n"), k = csv.Column("k"),
                    latency = csv.Column("latency");
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    const std::optional<Dtype> known = DtypeOf(csv.Text(row, dtype));
    if (!known) continue;
    samples.push_back({{Product(1, csv.Number(row, m, 1), csv.Number(row, n, 1), csv.Number(row, k, 1), *known, true)},
                       Seconds(csv.Number(row, latency, 0) * 1e-3)});
  }
}

void ReadContextAttention(const Csv& csv, std::vector<Sample>& samples) {
  const std::size_t batch = csv.Column("batch_size"), length = csv.Column("isl"), heads = csv.Column("num_heads"),
                    kv_heads = csv.Column("num_key_value_heads"), head_dim = csv.Column("head_dim"),
                    window = csv.Column("window_size"), dtype = csv.Column("attn_dtype"),
                    cache = csv.Column("kv_cache_dtype"), latency = csv.Column("latency");
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    const std::optional<Dtype> known = DtypeOf(csv.Text(row, dtype));
    if (known != Dtype::kBf16 || csv.Text(row, cache) != csv.Text(row, dtype) || csv.Number(row, window, 0) > 0)
      continue;
    plan::Attention op;
    op.batch = Whole(csv.Number(row, batch, 1));
    op.heads = Whole(csv.Number(row, heads, 1)), op.kv_heads = Whole(csv.Number(row, kv_heads, 1));
    op.queries = op.keys = Whole(csv.Number(row, length, 1));
    op.qk_dim = op.v_dim = Whole(csv.Number(row, head_dim, 1));
    if (op.queries < 128) continue;
    const double qkv = static_cast<double>(op.batch * op.queries * op.qk_dim * (op.heads + 2 * op.kv_heads)) *
                       plan::SizeOf(op.dtype).value;
    samples.push_back({{op, Streamed(2 * qkv)}, Seconds(csv.Number(row, latency, 0) * 1e-3)});
  }
}

struct Dimensions {
  double tp, b, h, l, dim;
};

// Forward and backward of the operators that our ops describe exactly; {} for the others.
std::pair<std::vector<plan::OpKind>, std::vector<plan::OpKind>> OperatorOps(const std::string& name,
                                                                            const Dimensions& d) {
  const double tokens = d.b * d.l, head = d.dim / d.h, sequences = d.b * d.h / d.tp, element = 2;
  const auto linear = [&](double n, double k) -> std::pair<std::vector<plan::OpKind>, std::vector<plan::OpKind>> {
    plan::Gemm weight = Product(1, n, k, tokens, Dtype::kFp16, false);
    weight.transpose_a = true;
    return {{Product(1, tokens, n, k, Dtype::kFp16, true)}, {Product(1, tokens, k, n, Dtype::kFp16, false), weight}};
  };
  const auto streamed = [&](double elements, double forward,
                            double backward) -> std::pair<std::vector<plan::OpKind>, std::vector<plan::OpKind>> {
    return {{Streamed(forward * element * elements)}, {Streamed(backward * element * elements)}};
  };
  if (name == "linear1") return linear(3 * d.dim / d.tp, d.dim);
  if (name == "linear2") return linear(d.dim, d.dim / d.tp);
  if (name == "linear3") return linear(4 * d.dim / d.tp, d.dim);
  if (name == "linear4") return linear(d.dim, 4 * d.dim / d.tp);
  if (name == "bmm") {  // probabilities (l, l) by values (l, head); both gradients
    plan::Gemm values = Product(sequences, d.l, head, d.l, Dtype::kFp16, false);
    values.transpose_a = true;
    return {{Product(sequences, d.l, head, d.l, Dtype::kFp16, false)},
            {Product(sequences, d.l, d.l, head, Dtype::kFp16, true), values}};
  }
  if (name == "baddbmm") {  // queries by keys; both gradients
    plan::Gemm keys = Product(sequences, d.l, head, d.l, Dtype::kFp16, false);
    keys.transpose_a = true;
    return {{Product(sequences, d.l, d.l, head, Dtype::kFp16, true)},
            {Product(sequences, d.l, head, d.l, Dtype::kFp16, false), keys}};
  }
  if (name == "flash_atten") {
    plan::Attention op;
    op.causal = false;
    op.dtype = Dtype::kFp16;
    op.batch = Whole(d.b), op.heads = op.kv_heads = Whole(d.h / d.tp);
    op.queries = op.keys = Whole(d.l), op.qk_dim = op.v_dim = Whole(head);
    plan::Attention backward = op;
    backward.pass = Pass::kBackward;
    return {{op}, {backward}};
  }
  if (name == "gelu") return streamed(4 * tokens * d.dim / d.tp, 2, 3);
  if (name == "res_add") return streamed(tokens * d.dim, 3, 3);
  if (name == "layernorm") {
    plan::Normalization op;
    op.rows = Whole(tokens), op.columns = Whole(d.dim), op.dtype = Dtype::kFp16;
    plan::Normalization backward = op;
    backward.pass = Pass::kBackward;
    return {{op}, {backward}};
  }
  if (name == "ScaledUpperTriangMaskedSoftmax") {
    plan::Softmax op;
    op.rows = Whole(sequences * d.l), op.columns = Whole(d.l), op.dtype = Dtype::kFp16;
    plan::Softmax backward = op;
    backward.pass = Pass::kBackward;
    return {{op}, {backward}};
  }
  return {};
}

std::string OperatorOf(const std::string& file) {
  static const std::vector<std::string> names = {
      "linear1",     "linear2", "linear3", "linear4",      "baddbmm",   "bmm",
      "flash_atten", "gelu",    "res_add", "RMSlayernorm", "layernorm", "ScaledUpperTriangMaskedSoftmax"};
  for (const std::string& name : names)
    if (file.find("_" + name + "_") != std::string::npos) return name;
  throw Error(file, "names no operator that can be calibrated",
              "its name should hold one of " + JoinedWith(names, "or"));
}

void ReadOperators(const Csv& csv, std::vector<Sample>& samples) {
  const std::string name = OperatorOf(csv.file);
  const std::size_t forward = csv.Column("F_dur(us)"), backward = csv.Column("B_dur(us)");
  const auto column = [&](const char* key, std::size_t row) {
    return csv.Has(key) ? csv.Number(row, csv.Column(key), 1) : 1.0;
  };
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    const Dimensions d = {column("mp", row), column("b", row), column("h", row), column("l", row), column("dim", row)};
    const auto [forward_ops, backward_ops] = OperatorOps(name, d);
    if (forward_ops.empty()) continue;
    samples.push_back({forward_ops, Seconds(csv.Number(row, forward, 0) * 1e-6)});
    samples.push_back({backward_ops, Seconds(csv.Number(row, backward, 0) * 1e-6)});
  }
}

plan::OpKind OwnOp(const Csv& csv, std::size_t row, Dtype dtype) {
  static const std::vector<std::string> kinds = {"gemm",          "attention", "elementwise", "softmax",
                                                 "normalization", "scatter",   "optimizer"};
  const std::string& kind = csv.Text(row, csv.Column("op"));
  const Pass pass = csv.Text(row, csv.Column("pass")) == "backward" ? Pass::kBackward : Pass::kForward;
  const auto whole = [&](const char* key) { return Whole(csv.Number(row, csv.Column(key), 0, 1)); };
  if (kind == "gemm") {
    return Product(csv.Number(row, csv.Column("batch"), 1, 1), csv.Number(row, csv.Column("m"), 1),
                   csv.Number(row, csv.Column("n"), 1), csv.Number(row, csv.Column("k"), 1), dtype, true);
  }
  if (kind == "attention") {
    plan::Attention op;
    op.pass = pass, op.dtype = dtype, op.batch = whole("batch");
    op.heads = whole("heads"), op.kv_heads = whole("kv_heads"), op.queries = whole("queries"), op.keys = whole("keys");
    op.qk_dim = op.v_dim = whole("head_dim"), op.causal = whole("causal") != 0;
    return op;
  }
  if (kind == "elementwise") return Streamed(csv.Number(row, csv.Column("bytes"), 0));
  if (kind == "softmax") {
    plan::Softmax op;
    op.pass = pass, op.dtype = dtype, op.rows = whole("m"), op.columns = whole("n"), op.causal = whole("causal") != 0;
    return op;
  }
  if (kind == "normalization") {
    plan::Normalization op;
    op.pass = pass, op.dtype = dtype, op.rows = whole("m"), op.columns = whole("n");
    return op;
  }
  if (kind == "scatter") {
    plan::Permute op;
    op.pass = pass, op.dtype = dtype, op.rows = csv.Number(row, csv.Column("m"), 1), op.hidden = whole("n");
    return op;
  }
  if (kind == "optimizer") {
    plan::OptimizerUpdate op;
    op.parameters = 1, op.bytes_per_parameter = csv.Number(row, csv.Column("bytes"), 0);
    return op;
  }
  const std::string near = Nearest(kind, kinds);
  throw Error(csv.file + ":" + std::to_string(csv.lines[row]) + ": op = \"" + kind + "\"", "is no kind of kernel",
              near.empty() ? "try " + JoinedWith(kinds, "or") : "did you mean \"" + near + "\"?");
}

void ReadOwn(const Csv& csv, std::vector<Sample>& samples) {
  const std::size_t seconds = csv.Column("seconds"), dtype = csv.Column("dtype");
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    const std::optional<Dtype> known = DtypeOf(csv.Text(row, dtype));
    if (!known)
      throw Error(csv.file + ":" + std::to_string(csv.lines[row]) + ": dtype = \"" + csv.Text(row, dtype) + "\"",
                  "is no known format", "try bf16, fp16, fp8, fp32, tf32, mxfp8 or nvfp4");
    samples.push_back({{OwnOp(csv, row, *known)}, Seconds(csv.Number(row, seconds, 0))});
  }
}

}  // namespace

SampleTable ReadSamples(const std::string& path) {
  if (path.ends_with(".json")) return ReadOperatorFactors(path);
  const Csv csv = ReadCsv(path);
  SampleTable table;
  table.file = path;
  for (const std::string& comment : csv.comments)
    table.description += (table.description.empty() ? "" : "; ") + comment;
  if (csv.Has("device") && !csv.rows.empty()) table.description = csv.Text(0, csv.Column("device"));
  if (csv.Has("gemm_dtype")) {
    ReadProducts(csv, table.samples);
  } else if (csv.Has("isl")) {
    ReadContextAttention(csv, table.samples);
  } else if (csv.Has("F_dur(us)")) {
    ReadOperators(csv, table.samples);
  } else if (csv.Has("op")) {
    ReadOwn(csv, table.samples);
  } else {
    throw Error(path, "has columns of no known form of measurement: " + JoinedWith(csv.header, "and"),
                "see costmodel/calibrate/samples.h for the four forms");
  }
  std::erase_if(table.samples, [](const Sample& s) { return s.time.value <= 0; });
  return table;
}

}  // namespace isochrone::costmodel
