#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "executor/run.h"
#include "plan/build.h"
#include "plan/scenario.h"

namespace isochrone::executor {

/// A GPT of 4 layers that a test can run many times: 8 sequences of 12 tokens.
inline plan::Scenario Tiny() {
  plan::Scenario s;
  s.file = "tiny.json";
  s.model.name = "tiny";
  s.model.layers = 4;
  s.model.hidden = 32;
  s.model.heads = s.model.kv_heads = 4;
  s.model.head_dim = 8;
  s.model.ffn = 64;
  s.model.sequence = 12;
  s.model.vocabulary = 40;
  s.batch = {.sequences = 8, .microbatch = 1};
  s.strategy.precision = plan::Dtype::kFp64;
  s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp64;
  s.strategy.schedule = plan::ScheduleKind::k1f1b;
  s.cluster.node.gpus = s.cluster.node.domain_gpus = 16;
  return s;
}

/// Llama's choices: RMS norm, rotary positions, SwiGLU, fewer key heads, no biases, a table of its own for the logits.
inline void MakeLlama(plan::Model& m) {
  m.kv_heads = 2;
  m.mlp = plan::MlpKind::kSwiglu;
  m.normalization = plan::NormKind::kRms;
  m.position = plan::PositionKind::kRotary;
  m.linear_bias = false;
  m.tied_embeddings = false;
}

/// Four layers of three kinds: Mamba-2, attention and MLP, Mamba-2 again.
inline void MakeMamba(plan::Model& m) {
  m.pattern = "M*-M";
  m.mamba = plan::MambaSpec{.state = 6, .groups = 4, .head_dim = 8, .convolution = 3, .expand = 2};
}

inline RunOptions TinyOptions(const plan::Scenario& s, int steps = 3) {
  RunOptions o;
  o.steps = steps;
  o.tokens = RandomTokens(7, s.model.vocabulary);
  o.adam.learning_rate = 1e-2;
  o.keep_tensors = true;
  return o;
}

/// The same training on one rank, by the plainest plan: what it keeps of the strategy decides numbers, not order.
inline plan::Scenario OneRank(plan::Scenario s) {
  plan::Strategy plain;
  const plan::Strategy& y = s.strategy;
  plain.precision = y.precision;
  plain.gradient_dtype = y.gradient_dtype;
  plain.gradient_reduce_dtype = y.gradient_reduce_dtype;
  plain.attention = y.attention;  // fused kernels drop no attention weights
  plain.expert_load = y.expert_load;
  plain.expert_load_zipf = y.expert_load_zipf;
  s.strategy = plain;
  s.batch.microbatch = 1;
  return s;
}

template <class T>
RunResult RunTiny(const plan::Scenario& s, int steps = 3) {
  return Run<T>(s, plan::BuildPlan(s), TinyOptions(s, steps));
}

/// ||a - b|| / max(||b||, floor)
inline double Distance(const std::vector<double>& a, const std::vector<double>& b, double floor) {
  if (a.size() != b.size()) return 1e300;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), floor);
}

/// Each tensor of both runs, by their distance.
inline void CheckTensors(const std::map<std::string, std::vector<double>>& many,
                         const std::map<std::string, std::vector<double>>& one, double tolerance, double floor) {
  REQUIRE(many.size() == one.size());
  for (const auto& [key, value] : one) {
    INFO(key);
    CHECK(Distance(many.at(key), value, floor) <= tolerance);
  }
}

/// Losses and gradient norms of every step, gradients and parameters after the last.
inline void CheckEqual(const RunResult& many, const RunResult& one, double tolerance, double floor) {
  REQUIRE(many.losses.size() == one.losses.size());
  for (std::size_t i = 0; i < one.losses.size(); ++i) {
    CHECK(many.losses[i] == Approx(one.losses[i]).epsilon(tolerance).margin(0));
    CHECK(many.gradient_norms[i] == Approx(one.gradient_norms[i]).epsilon(tolerance).margin(0));
  }
  CheckTensors(many.gradients, one.gradients, tolerance, floor);
  CheckTensors(many.parameters, one.parameters, tolerance, floor);
}

}  // namespace isochrone::executor
