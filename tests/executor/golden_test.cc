// One training step of two small models against PyTorch; tests/golden/gpt_step.py made the numbers and says how.
#include <catch2/catch.hpp>

#include <algorithm>

#include "base/json.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

plan::Scenario Golden(bool llama) {
  plan::Scenario s = Tiny();
  s.model.layers = 2;
  s.model.hidden = 16;
  s.model.head_dim = 4;
  s.model.ffn = 32;
  s.model.sequence = 6;
  s.model.vocabulary = 24;
  if (llama) MakeLlama(s.model);
  s.batch = {.sequences = 4, .microbatch = 2};
  return s;
}

/// Keys in the order in which the script numbers them.
std::vector<std::string> Keys(bool llama) {
  std::vector<std::string> keys = {"embedding.weight"};
  const auto add = [&](const std::string& name) {
    keys.push_back(name + ".weight");
    if (!llama) keys.push_back(name + ".bias");
  };
  if (!llama) keys.push_back("position.weight");
  for (int layer = 0; layer < 2; ++layer) {
    for (const char* name : {"attention_norm", "qkv", "projection", "mlp_norm", "fc1", "fc2"})
      add("layer." + std::to_string(layer) + "." + name);
  }
  add("final_norm");
  if (llama) keys.push_back("logits.weight");
  return keys;
}

double Initial(const std::vector<std::string>& keys, const std::string& key, std::int64_t i) {
  const auto n = static_cast<double>(std::find(keys.begin(), keys.end(), key) - keys.begin());
  const bool scale = key.find("norm.weight") != std::string::npos;
  return 0.2 * std::sin(1 + 12.9898 * n + 0.37 * static_cast<double>(i)) + (scale ? 1 : 0);
}

void CheckSummaries(const Json& golden, const std::map<std::string, std::vector<double>>& tensors, double tolerance) {
  for (const auto& [key, values] : tensors) {
    double square = 0, weighted = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      square += values[i] * values[i];
      weighted += values[i] * std::cos(static_cast<double>(i));
    }
    const std::vector<Json> expected = golden.At(key).Items();
    const double norm = expected.at(0).Number(-1e9, 1e9), sum = expected.at(1).Number(-1e9, 1e9);
    INFO(key);
    CHECK(std::sqrt(square) == Approx(norm).epsilon(tolerance));
    CHECK(std::abs(weighted - sum) <= tolerance * norm);
  }
}

}  // namespace

TEST_CASE("forward, backward and update agree with PyTorch to 1e-10", "[executor]") {
  const Json golden = Json::File("tests/golden/gpt_step.json");
  for (const bool llama : {false, true}) {
    for (const plan::AttentionForm form : {plan::AttentionForm::kFlash, plan::AttentionForm::kUnfused}) {
      plan::Scenario s = Golden(llama);
      s.strategy.attention = form;
      const std::vector<std::string> keys = Keys(llama);
      RunOptions options = TinyOptions(s, 1);
      options.initial = [&](const std::string& key, std::int64_t i) { return Initial(keys, key, i); };
      options.tokens = [](std::int64_t, std::int64_t sequence, std::span<std::int32_t> tokens) {
        for (std::size_t p = 0; p < tokens.size(); ++p)
          tokens[p] = static_cast<std::int32_t>((17 * static_cast<std::size_t>(sequence) + 5 * p + p * p) % 24);
      };
      const plan::Plan plan = plan::BuildPlan(s);
      const RunResult one = Run<double>(s, plan, options);
      const Json expected = golden.At(llama ? "llama" : "gpt");
      INFO((llama ? "llama" : "gpt") << (form == plan::AttentionForm::kFlash ? " flash" : " unfused"));
      CHECK(one.losses[0] == Approx(expected.At("loss").Number(-1e9, 1e9)).epsilon(1e-10));
      CHECK(one.gradient_norms[0] == Approx(expected.At("gradient_norm").Number(-1e9, 1e9)).epsilon(1e-10));
      REQUIRE(one.parameters.size() == keys.size());
      CheckSummaries(expected.At("gradients"), one.gradients, 1e-10);
      // An element whose gradient is near 0 moves by a sign that rounding decides.
      CheckSummaries(expected.At("parameters"), one.parameters, 1e-8);
      options.steps = 2;
      const RunResult two = Run<double>(s, plan, options);
      CHECK(two.losses[1] == Approx(expected.At("loss_after").Number(-1e9, 1e9)).epsilon(1e-8));
    }
  }
}
