#include "kernels/embedding.h"
#include "kernels/permute.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

TEMPLATE_TEST_CASE("embeddings on a GPU equal their twins", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index tokens = draw.Size(70), hidden = draw.Size(150), first = draw.Below(9), last = first + draw.Size(30);
    const bool aligned = draw.Coin();
    std::vector<TokenId> ids;
    for (Index t = 0; t < tokens; ++t) ids.push_back(static_cast<TokenId>(draw.Below(last + 4)));
    const std::vector<float> table = draw.Values<T>((last - first) * hidden), dout = draw.Values<T>(tokens * hidden);
    std::vector<float> out(tokens * hidden), dtable(table.size(), 0.5f);
    Guarded<T> device_table(table, aligned), result(out.size(), aligned), device_dout(dout, aligned);
    Guarded<float> device_dtable(dtable, aligned);
    Embedding<float>(tokens, hidden, first, last, ids.data(), table.data(), out.data());
    EmbeddingBackward<float>(tokens, hidden, first, last, ids.data(), dout.data(), dtable.data());
    cuda::Embedding<T>(nullptr, tokens, hidden, first, last, ids.data(), device_table.Data(), result.Data());
    cuda::EmbeddingBackward<T>(nullptr, tokens, hidden, first, last, ids.data(), device_dout.Data(),
                               device_dtable.Data());
    CHECK(result.Floats() == out);
    CHECK_NEAR(float, device_dtable, dtable);
  });
}

TEMPLATE_TEST_CASE("learned positions on a GPU equal their twins", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index batch = draw.Size(3), positions = draw.Size(5), hidden = draw.Size(150), first = draw.Below(4);
    const bool aligned = draw.Coin();
    const std::vector<float> table = draw.Values<T>((first + positions) * hidden);
    std::vector<float> x = draw.Values<T>(batch * positions * hidden), dtable(table.size(), 0.5f);
    Guarded<T> device_table(table, aligned), device_x(x, aligned);
    Guarded<float> device_dtable(dtable, aligned);
    AddPositionsBackward<float>(batch, positions, hidden, first, x.data(), dtable.data());
    AddPositions<float>(batch, positions, hidden, first, table.data(), x.data());
    cuda::AddPositionsBackward<T>(nullptr, batch, positions, hidden, first, device_x.Data(), device_dtable.Data());
    cuda::AddPositions<T>(nullptr, batch, positions, hidden, first, device_table.Data(), device_x.Data());
    CHECK_NEAR(T, device_x, x);
    CHECK_NEAR(float, device_dtable, dtable);
  });
}

namespace {

/// Tokens and where their assignments went.
struct Routed {
  Index tokens, k, experts, rows;
  std::vector<ExpertId> chosen;
  std::vector<Index> offsets, row_of;

  explicit Routed(Draw& draw)
      : tokens(draw.Size(90)), k(draw.Size(3)), experts(draw.Size(70)), offsets(experts + 1), row_of(tokens * k) {
    for (Index i = 0; i < tokens * k; ++i)
      chosen.push_back(draw.Below(8) == 0 ? kDropped : static_cast<ExpertId>(draw.Below(experts)));
    PlanPermutation(tokens * k, experts, chosen.data(), offsets.data(), row_of.data());
    rows = std::max<Index>(1, offsets.back());
  }
};

}  // namespace

TEST_CASE("a permutation planned on a GPU is the one planned on the CPU", "[cuda]") {
  ForShapes([](Draw& draw) {
    const Routed r(draw);
    std::vector<Index> offsets(r.experts + 1, 99), row_of(r.row_of.size(), 99);
    cuda::PlanPermutation(nullptr, r.tokens * r.k, r.experts, r.chosen.data(), offsets.data(), row_of.data());
    CHECK(offsets == r.offsets);
    CHECK(row_of == r.row_of);
  });
}

TEMPLATE_TEST_CASE("rows go to their experts and back on a GPU as in the twins", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Routed r(draw);
    const Index hidden = draw.Size(90);
    const bool aligned = draw.Coin();
    const std::vector<float> x = draw.Values<T>(r.tokens * hidden), y = draw.Values<T>(r.rows * hidden);
    const std::vector<float> weight = draw.Values<float>(r.tokens * r.k);
    std::vector<float> out(y.size(), 0), dx(x.size()), combined(x.size()), dy(y.size(), 0), dweight(weight.size());
    Permute<float>(r.tokens, r.k, hidden, r.row_of.data(), x.data(), out.data());
    PermuteBackward<float>(r.tokens, r.k, hidden, r.row_of.data(), y.data(), dx.data());
    Combine<float>(r.tokens, r.k, hidden, r.row_of.data(), weight.data(), y.data(), combined.data());
    CombineBackward<float>(r.tokens, r.k, hidden, r.row_of.data(), weight.data(), y.data(), x.data(), dy.data(),
                           dweight.data());
    Guarded<T> device_x(x, aligned), device_y(y, aligned), device_out(out, aligned), device_dx(dx.size(), aligned);
    Guarded<T> device_combined(dx.size(), aligned), device_dy(dy, aligned);
    Guarded<float> device_weight(weight, aligned), device_dweight(weight.size(), aligned);
    cuda::Permute<T>(nullptr, r.tokens, r.k, hidden, r.row_of.data(), device_x.Data(), device_out.Data());
    cuda::PermuteBackward<T>(nullptr, r.tokens, r.k, hidden, r.row_of.data(), device_y.Data(), device_dx.Data());
    cuda::Combine<T>(nullptr, r.tokens, r.k, hidden, r.row_of.data(), device_weight.Data(), device_y.Data(),
                     device_combined.Data());
    cuda::CombineBackward<T>(nullptr, r.tokens, r.k, hidden, r.row_of.data(), device_weight.Data(), device_y.Data(),
                             device_x.Data(), device_dy.Data(), device_dweight.Data());
    CHECK(device_out.Floats() == out);
    CHECK_NEAR(T, device_dx, dx);
    CHECK_NEAR(T, device_combined, combined);
    CHECK_NEAR(T, device_dy, dy);
    CHECK_NEAR(float, device_dweight, dweight);
  });
}
