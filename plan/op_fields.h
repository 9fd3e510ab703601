#pragma once

#include <string>
#include <vector>

#include "plan/op.h"

namespace isochrone::plan {

// The fields of every op kind, named once: the text form prints and parses by these lists. A visitor is called as
// visit("name", field) for numbers, flags, bytes and formats, and visit("name", field, names) for enumerations.

using Words = std::vector<std::string>;

inline const Words kPassWords = {"forward", "backward"};

template <class V>
void VisitFields(Gemm& o, V& visit) {
  static const Words roles = {"linear",      "grad_input",   "grad_weight", "scores", "context", "grad_probabilities",
                              "grad_values", "grad_queries", "grad_keys"};
  visit("role", o.role, roles);
  visit("batch", o.batch);
  visit("m", o.m);
  visit("n", o.n);
  visit("k", o.k);
  visit("dtype", o.dtype);
  visit("output", o.output);
  visit("transpose_a", o.transpose_a);
  visit("transpose_b", o.transpose_b);
  visit("accumulate", o.accumulate);
  visit("bias", o.bias);
}

template <class V>
void VisitFields(GroupedGemm& o, V& visit) {
  visit("experts", o.experts);
  visit("rows", o.rows);
  visit("rows_fullest", o.rows_fullest);
  visit("n", o.n);
  visit("k", o.k);
  visit("dtype", o.dtype);
  visit("output", o.output);
  visit("weight_gradient", o.weight_gradient);
}

template <class V>
void VisitFields(Attention& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("batch", o.batch);
  visit("heads", o.heads);
  visit("kv_heads", o.kv_heads);
  visit("queries", o.queries);
  visit("keys", o.keys);
  visit("qk_dim", o.qk_dim);
  visit("v_dim", o.v_dim);
  visit("causal", o.causal);
  visit("window", o.window);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Softmax& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("rows", o.rows);
  visit("columns", o.columns);
  visit("causal", o.causal);
  visit("fused", o.fused);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Normalization& o, V& visit) {
  static const Words kinds = {"layer", "rms"};
  visit("pass", o.pass, kPassWords);
  visit("kind", o.kind, kinds);
  visit("rows", o.rows);
  visit("columns", o.columns);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Elementwise& o, V& visit) {
  static const Words kinds = [] {
    Words words;
    for (int i = 0; i <= static_cast<int>(ElementwiseKind::kRelu); ++i)
      words.push_back(NameOf(static_cast<ElementwiseKind>(i)));
    return words;
  }();
  visit("pass", o.pass, kPassWords);
  visit("kind", o.kind, kinds);
  visit("rows", o.rows);
  visit("columns", o.columns);
  visit("read", o.read);
  visit("written", o.written);
  visit("flops_per_element", o.flops_per_element);
}

template <class V>
void VisitFields(Embedding& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("tokens", o.tokens);
  visit("hidden", o.hidden);
  visit("rows", o.rows);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(CrossEntropy& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("tokens", o.tokens);
  visit("columns", o.columns);
  visit("dtype", o.dtype);
  visit("fused", o.fused);
}

template <class V>
void VisitFields(Collective& o, V& visit) {
  static const Words kinds = [] {
    Words words;
    for (int i = 0; i <= static_cast<int>(CollectiveKind::kRing); ++i)
      words.push_back(NameOf(static_cast<CollectiveKind>(i)));
    return words;
  }();
  static const Words groups = [] {
    Words words;
    for (int i = 0; i < kGroups; ++i) words.push_back(NameOf(static_cast<Group>(i)));
    return words;
  }();
  visit("kind", o.kind, kinds);
  visit("group", o.group, groups);
  visit("bytes", o.bytes);
  visit("dtype", o.dtype);
  visit("imbalance", o.imbalance);
}

template <class V>
void VisitFields(Message& o, V& visit) {
  visit("bytes", o.bytes);
}

template <class V>
void VisitFields(OptimizerUpdate& o, V& visit) {
  static const Words kinds = {"adam", "adam_8bit", "galore_adam", "sgd"};
  visit("kind", o.kind, kinds);
  visit("parameters", o.parameters);
  visit("bytes_per_parameter", o.bytes_per_parameter);
}

template <class V>
void VisitFields(GradientNorm& o, V& visit) {
  visit("bytes", o.bytes);
}

template <class V>
void VisitFields(Transfer& o, V& visit) {
  static const Words kinds = {"to_host", "from_host", "to_nvme", "from_nvme"};
  visit("kind", o.kind, kinds);
  visit("bytes", o.bytes);
}

template <class V>
void VisitFields(Route& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("tokens", o.tokens);
  visit("experts", o.experts);
  visit("topk", o.topk);
}

template <class V>
void VisitFields(Permute& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("restore", o.restore);
  visit("rows", o.rows);
  visit("hidden", o.hidden);
  visit("topk", o.topk);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Scan& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("batch", o.batch);
  visit("length", o.length);
  visit("heads", o.heads);
  visit("head_dim", o.head_dim);
  visit("groups", o.groups);
  visit("state", o.state);
  visit("chunk", o.chunk);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Convolution& o, V& visit) {
  visit("pass", o.pass, kPassWords);
  visit("batch", o.batch);
  visit("height", o.height);
  visit("width", o.width);
  visit("channels_in", o.channels_in);
  visit("channels_out", o.channels_out);
  visit("kernel_height", o.kernel_height);
  visit("kernel_width", o.kernel_width);
  visit("stride_height", o.stride_height);
  visit("stride_width", o.stride_width);
  visit("dtype", o.dtype);
}

template <class V>
void VisitFields(Recurrent& o, V& visit) {
  static const Words kinds = {"rnn", "gru", "lstm"};
  visit("pass", o.pass, kPassWords);
  visit("kind", o.kind, kinds);
  visit("batch", o.batch);
  visit("steps", o.steps);
  visit("hidden", o.hidden);
  visit("bidirectional", o.bidirectional);
  visit("dtype", o.dtype);
}

}  // namespace isochrone::plan
