#include "plan/parameters.h"

#include <cmath>

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::plan;

namespace {

double Billions(const std::string& model) { return ParametersOf(ReadModel("models/" + model + ".json")).Total() / 1e9; }
double Whole(const std::string& model) { return ParametersOf(ReadModel("models/" + model + ".json")).Total(); }

}  // namespace

TEST_CASE("parameter counts are those that the papers print", "[parameters]") {
  struct Printed {
    const char* model;
    double billions, half_unit;  // half of the last digit printed
  };
  const Printed printed[] = {
      // arXiv 2104.04473, Table 1
      {"gpt_1.7b", 1.7, 0.05},
      {"gpt_3.6b", 3.6, 0.05},
      {"gpt_7.5b", 7.5, 0.05},
      {"gpt_18.4b", 18.4, 0.05},
      {"gpt_39.1b", 39.1, 0.05},
      {"gpt_76.1b", 76.1, 0.05},
      {"gpt_145.6b", 145.6, 0.05},
      {"gpt_310.1b", 310.1, 0.05},
      {"gpt_530b", 529.6, 0.05},
      {"gpt_1t", 1008.0, 0.05},
      // arXiv 2205.05198, Table 3
      {"gpt_22b", 22, 0.5},
      {"gpt3_175b", 175, 0.5},
      // arXiv 1909.08053, Table 1
      {"megatron_1.2b", 1.2, 0.05},
      {"megatron_2.5b", 2.5, 0.05},
      {"megatron_4.2b", 4.2, 0.05},
      {"megatron_8.3b", 8.3, 0.05},
      // arXiv 2005.14165, Table 2.1; arXiv 2402.16819, section 2; arXiv 2406.11704, Table 1 and section 2
      {"gpt3_2.7b", 2.7, 0.05},
      {"nemotron4_15b", 15.6, 0.05},
      {"nemotron4_340b", 341, 0.5},
      // arXiv 2407.21783, Table 3
      {"llama3_8b", 8, 0.5},
      {"llama3_70b", 70, 1},
      {"llama3_405b", 405, 1},
      // arXiv 2401.04088, section 1: 47B; arXiv 2406.07887
      {"mixtral_8x7b", 47, 0.5},
      {"mamba2_hybrid_8b", 8.66, 0.01},
      {"transformer_8b", 8.5, 0.05}};
  for (const Printed& p : printed) {
    INFO(p.model << " " << Billions(p.model));
    CHECK(std::abs(Billions(p.model) - p.billions) <= p.half_unit);
  }
}

TEST_CASE("released checkpoints have as many parameters as counted, to the last one", "[parameters]") {
  CHECK(Whole("llama2_7b") == 6'738'415'616);
  CHECK(Whole("llama2_13b") == 13'015'864'320);
  CHECK(Whole("llama2_70b") == 68'976'648'192);
  CHECK(Whole("llama3_8b") == 8'030'261'248);
  CHECK(Whole("llama3_70b") == 70'553'706'496);
  CHECK(Whole("mixtral_8x7b") == 46'702'792'704);
  // BLOOM normalises its embeddings, which this count leaves out: 2 H.
  CHECK(Whole("bloom_176b") + 2 * 14336 == 176'247'271'424);
}

TEST_CASE("a token passes few of a mixture's parameters", "[parameters]") {
  // arXiv 2412.19437: 671B in all, 37B for a token. The multi-token module shares embedding and output table.
  Model model = ReadModel("models/deepseek_v3.json");
  const ParameterCount with = ParametersOf(model);
  model.mtp_layers = 0;
  const ParameterCount main = ParametersOf(model);
  CHECK(std::abs(main.Total() / 1e9 - 671) < 0.5);
  // The 37B leave the embedding table out, which is looked up.
  CHECK(std::abs(main.Active() / 1e9 - 37) < 1);
  CHECK(with.multi_token / 1e9 == Approx(11.6).margin(0.1));
  CHECK(ParametersOf(ReadModel("models/mixtral_8x7b.json")).Active() / 1e9 == Approx(12.9).margin(0.05));
}

TEST_CASE("operations of a step follow the formula of the paper", "[parameters]") {
  // arXiv 2104.04473: F = 96 B s l h² (1 + s/6h + V/16lh) with one forward pass more; 72 without.
  for (const char* name : {"gpt_1.7b", "gpt_39.1b", "gpt_530b"}) {
    const Model m = ReadModel(std::string("models/") + name + ".json");
    const double s = static_cast<double>(m.sequence), h = static_cast<double>(m.hidden), l = m.layers,
                 v = static_cast<double>(m.vocabulary);
    const double expected = 72 * 512 * s * l * h * h * (1 + s / (6 * h) + v / (12 * l * h));
    CHECK(ModelFlops(m, 512, AttentionCount::kFull).value == Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("a causal mask leaves about half of the attention, a window its width", "[parameters]") {
  Model m = ReadModel("models/llama3_8b.json");
  const auto attention = [&](AttentionCount count) {
    Model none = m;
    none.sequence = 1;  // one key: nearly no attention
    return ModelFlops(m, 1, count).value / static_cast<double>(m.sequence) - ModelFlops(none, 1, count).value;
  };
  CHECK(attention(AttentionCount::kMasked) / attention(AttentionCount::kFull) == Approx(0.5).epsilon(1e-6));
  m.window = 128;
  CHECK(attention(AttentionCount::kMasked) / attention(AttentionCount::kFull) == Approx(127.0 / 8191).epsilon(0.01));
  m.window_every = 2;
  CHECK(attention(AttentionCount::kMasked) / attention(AttentionCount::kFull) == Approx(0.25).epsilon(0.04));
}

TEST_CASE("windows as wide as the sequence change nothing", "[parameters]") {
  Model m = ReadModel("models/llama3_8b.json");
  const double before = ModelFlops(m, 1, AttentionCount::kMasked).value;
  m.window = m.sequence;
  CHECK(ModelFlops(m, 1, AttentionCount::kMasked).value == before);
}

TEST_CASE("every expert a copy of the dense MLP and all visited cost as many dense ones", "[parameters]") {
  Model dense = ReadModel("models/llama3_8b.json"), mixture = dense;
  mixture.moe = MoeSpec{};
  mixture.moe->experts = mixture.moe->topk = 4;
  mixture.moe->ffn = dense.ffn / 4;
  const double router = 3.0 * 2 * 8192 * dense.layers * 4 * 4096;
  CHECK(ModelFlops(mixture, 1, AttentionCount::kFull).value ==
        Approx(ModelFlops(dense, 1, AttentionCount::kFull).value + router).epsilon(1e-12));
  CHECK(ParametersOf(mixture).Active() == ParametersOf(mixture).Total());
}
