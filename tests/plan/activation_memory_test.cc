// Activation memory per layer against Korthikanti et al., arXiv 2205.05198, Table 2, over the tensors that the table
// counts.
#include <catch2/catch.hpp>

#include "plan/layers/layers.h"
#include "plan/memory.h"

using namespace isochrone;
using namespace isochrone::plan;

namespace {

struct Case {
  Model model;
  Strategy strategy;
  LayerContext context;

  Case(int tp, bool sequence_parallel, Recompute recompute) {
    model.hidden = 12288;
    model.heads = model.kv_heads = 96;
    model.head_dim = 128;
    model.ffn = 4 * 12288;
    model.sequence = 2048;
    model.vocabulary = 51200;
    model.dropout = 0.1;
    strategy.tensor = tp;
    strategy.sequence_parallel = sequence_parallel;
    strategy.recompute = recompute;
    strategy.attention = AttentionForm::kUnfused;
    strategy.precision = Dtype::kFp16;
  }

  /// Bytes kept by one layer for one microbatch, statistics left out.
  double Kept() {
    context = {.model = &model,
               .strategy = &strategy,
               .layout = {},
               .sequences = 1,
               .positions = 2048,
               .storage = Dtype::kFp16,
               .multiply = Dtype::kFp16};
    context.layout.tp = strategy.tensor;
    const LayerBytes bytes = BytesOf(TransformerLayer(context));
    return (bytes.kept - bytes.kept_statistics).value;
  }
};

const double sbh = 2048.0 * 12288;
const double attention = 5.0 * 96 * 2048 / 12288;  // 5 a s / h

}  // namespace

TEST_CASE("a layer keeps sbh (34 + 5as/h) bytes without parallelism", "[memory]") {
  CHECK(Case(1, false, Recompute::kNone).Kept() == sbh * (34 + attention));
}

TEST_CASE("tensor parallelism leaves ten bytes whole: sbh (10 + 24/t + 5as/(ht))", "[memory]") {
  CHECK(Case(8, false, Recompute::kNone).Kept() == sbh * (10 + 24.0 / 8 + attention / 8));
}

TEST_CASE("sequence parallelism divides everything: sbh (34/t + 5as/(ht))", "[memory]") {
  CHECK(Case(8, true, Recompute::kNone).Kept() == sbh * (34.0 / 8 + attention / 8));
}

TEST_CASE("selective recomputation drops the square tensors: sbh (10 + 24/t)", "[memory]") {
  CHECK(Case(8, false, Recompute::kSelective).Kept() == sbh * (10 + 24.0 / 8));
}

TEST_CASE("both together keep sbh 34/t", "[memory]") {
  CHECK(Case(8, true, Recompute::kSelective).Kept() == sbh * (34.0 / 8));
}

TEST_CASE("full recomputation keeps the layer's input, 2sbh", "[memory]") {
  CHECK(Case(8, false, Recompute::kFull).Kept() == sbh * 2);
}
