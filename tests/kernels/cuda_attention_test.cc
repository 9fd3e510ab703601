#include "kernels/attention.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

/// A shape with packed or separate projections, grouped heads, causal and windowed masks and slices of a sequence.
struct AttentionCase {
  AttentionShape shape;
  AttentionMask mask;
  float scale;
  bool aligned;

  explicit AttentionCase(Draw& draw) {
    shape.batch = draw.Size(2);
    shape.queries = draw.Size(24);
    shape.keys = draw.Coin() ? shape.queries : draw.Size(70);
    shape.kv_heads = draw.Size(2);
    shape.heads = shape.kv_heads * draw.Size(2);
    shape.head_size = draw.Below(20) == 0 ? 33 + draw.Below(224) : draw.Size(32);
    shape.query_pitch = shape.heads * shape.head_size + draw.Below(2) * 8;
    shape.key_pitch = shape.kv_heads * shape.head_size + draw.Below(2) * draw.Size(16);
    mask = {.causal = draw.Coin(), .window = draw.Below(3) == 0 ? draw.Size(40) : 0};
    if (draw.Coin()) mask.first_query = draw.Below(30), mask.first_key = draw.Below(30);
    scale = 2 / std::sqrt(static_cast<float>(shape.head_size));
    aligned = draw.Coin();
  }
  Index QueryElements() const { return shape.batch * shape.queries * shape.query_pitch; }
  Index KeyElements() const { return shape.batch * shape.keys * shape.key_pitch; }
  Index Rows() const { return shape.batch * shape.queries * shape.heads; }
};

}  // namespace

TEMPLATE_TEST_CASE("tiled attention on a GPU equals its twin, forward and backward", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const AttentionCase c(draw);
    const Index outs = c.Rows() * c.shape.head_size;
    const std::vector<float> q = draw.Values<T>(c.QueryElements()), k = draw.Values<T>(c.KeyElements());
    const std::vector<float> v = draw.Values<T>(c.KeyElements()), dout = draw.Values<T>(outs);
    std::vector<float> out(outs), lse(c.Rows()), workspace(AttentionWorkspace<float>(c.shape));
    Attention<float>(c.shape, c.mask, c.scale, q.data(), k.data(), v.data(), out.data(), lse.data(), workspace.data());
    Guarded<T> device_q(q, c.aligned), device_k(k, c.aligned), device_v(v, c.aligned), device_out(outs, c.aligned);
    Guarded<float> device_lse(c.Rows(), c.aligned);
    cuda::Attention<T>(nullptr, c.shape, c.mask, c.scale, device_q.Data(), device_k.Data(), device_v.Data(),
                       device_out.Data(), device_lse.Data());
    CHECK_NEAR(T, device_out, out);
    CHECK_NEAR(float, device_lse, lse);

    const std::vector<float> stored = device_out.Floats();  // what the backward pass reads has the storage type
    std::vector<float> dq(q.size(), 0.25f), dk(k.size(), 0.5f), dv(k.size(), 0.75f);
    Guarded<float> device_dq(dq, c.aligned), device_dk(dk, c.aligned), device_dv(dv, c.aligned);
    Guarded<float> delta(c.Rows(), c.aligned);
    Guarded<T> device_dout(dout, c.aligned);
    AttentionBackward<float>(c.shape, c.mask, c.scale, q.data(), k.data(), v.data(), stored.data(), lse.data(),
                             dout.data(), dq.data(), dk.data(), dv.data(), workspace.data());
    cuda::AttentionBackward<T>(nullptr, c.shape, c.mask, c.scale, device_q.Data(), device_k.Data(), device_v.Data(),
                               device_out.Data(), device_lse.Data(), device_dout.Data(), device_dq.Data(),
                               device_dk.Data(), device_dv.Data(), delta.Data());
    CHECK_NEAR(float, device_dq, dq);
    CHECK_NEAR(float, device_dk, dk);
    CHECK_NEAR(float, device_dv, dv);
  });
}

TEMPLATE_TEST_CASE("attention over two sets of keys merges on a GPU as in its twin", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Index rows = draw.Size(20), size = draw.Size(140);
    const bool aligned = draw.Coin();
    const std::vector<float> b = draw.Values<T>(rows * size);
    std::vector<float> a = draw.Values<T>(rows * size), a_lse = draw.Values<float>(rows, 5);
    std::vector<float> b_lse = draw.Values<float>(rows, 5);
    for (Index r = 0; r < rows; ++r) {
      if (draw.Below(5) == 0) a_lse[r] = -INFINITY;
      if (draw.Below(5) == 0) b_lse[r] = -INFINITY;
    }
    Guarded<T> device_a(a, aligned), device_b(b, aligned);
    Guarded<float> device_lse(a_lse, aligned), other_lse(b_lse, aligned);
    MergeAttention<float>(rows, size, a.data(), a_lse.data(), b.data(), b_lse.data());
    cuda::MergeAttention<T>(nullptr, rows, size, device_a.Data(), device_lse.Data(), device_b.Data(), other_lse.Data());
    CHECK_NEAR(T, device_a, a);
    CHECK_NEAR(float, device_lse, a_lse);
  });
}

TEST_CASE("a head that the kernel cannot hold is refused", "[cuda]") {
  const AttentionShape shape{.queries = 1, .keys = 1, .head_size = 257, .query_pitch = 257, .key_pitch = 257};
  CHECK_THROWS_WITH(cuda::Attention<float>(nullptr, shape, {}, 1, nullptr, nullptr, nullptr, nullptr, nullptr),
                    Catch::Matchers::Contains("head size 257 is more than its kernel holds"));
}
