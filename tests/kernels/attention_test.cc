#include "kernels/attention.h"

#include "kernels/softmax.h"
#include "kernels/unfused_attention.h"
#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

// Queries, keys and values of one fused projection, or of separate ones.
template <class T>
struct Heads {
  AttentionShape shape;
  AttentionMask mask;
  T scale;
  std::vector<T> q, k, v, out, lse, workspace;

  Heads(AttentionShape s, AttentionMask m) : shape(s), mask(m), scale(T(1 / std::sqrt(double(s.head_size)))) {
    shape.query_pitch = s.heads * s.head_size + 2;  // pitches wider than the heads
    shape.key_pitch = s.kv_heads * s.head_size + 1;
    q = As<T>(Random(s.batch * s.queries * shape.query_pitch, 1));
    k = As<T>(Random(s.batch * s.keys * shape.key_pitch, 2));
    v = As<T>(Random(s.batch * s.keys * shape.key_pitch, 3));
    for (T& x : q) x *= 3;  // uneven probabilities
    out.resize(s.batch * s.queries * s.heads * s.head_size);
    lse.resize(s.batch * s.queries * s.heads);
    workspace.resize(AttentionWorkspace<Bf16>(shape));  // enough for every storage type
  }

  void Fused() {
    Attention<T>(shape, mask, scale, q.data(), k.data(), v.data(), out.data(), lse.data(), workspace.data());
  }

  // The formulas of the header, one key at a time, in double.
  void Formula(std::vector<double>* result, std::vector<double>* result_lse) const {
    const auto& s = shape;
    result->assign(out.size(), 0);
    result_lse->assign(lse.size(), -INFINITY);
    for (Index b = 0; b < s.batch; ++b)
      for (Index i = 0; i < s.queries; ++i)
        for (Index a = 0; a < s.heads; ++a) {
          const Index head = a / (s.heads / s.kv_heads), row = (b * s.queries + i) * s.heads + a;
          double sum = 0;
          for (const bool second : {false, true})
            for (Index j = 0; j < s.keys; ++j) {
              const Index apart = (mask.first_query + i) - (mask.first_key + j);
              if ((mask.causal && apart < 0) || (mask.window > 0 && apart >= mask.window)) continue;
              double dot = 0;
              for (Index d = 0; d < s.head_size; ++d)
                dot += double(q[(b * s.queries + i) * s.query_pitch + a * s.head_size + d]) *
                       double(k[(b * s.keys + j) * s.key_pitch + head * s.head_size + d]);
              const double e = std::exp(double(scale) * dot);
              if (!second) sum += e;
              for (Index d = 0; second && d < s.head_size; ++d)
                (*result)[row * s.head_size + d] +=
                    e / sum * double(v[(b * s.keys + j) * s.key_pitch + head * s.head_size + d]);
            }
          (*result_lse)[row] = std::log(sum);
        }
  }
};

struct Case {
  AttentionShape shape;
  AttentionMask mask;
};

// (batch, queries, keys, heads, kv_heads, head size), (causal, first query, first key, window)
const std::vector<Case> kSmall = {
    {{1, 1, 1, 1, 1, 1}, {true, 0, 0, 0}},  {{1, 1, 5, 1, 1, 3}, {false, 0, 0, 0}},
    {{2, 7, 7, 3, 3, 5}, {true, 0, 0, 0}},  {{1, 5, 11, 4, 2, 3}, {true, 6, 0, 0}},
    {{1, 6, 6, 2, 1, 4}, {true, 0, 4, 0}},  {{2, 7, 13, 2, 1, 2}, {true, 9, 3, 4}},
    {{1, 5, 5, 2, 2, 3}, {false, 2, 0, 3}}, {{1, 3, 4, 1, 1, 2}, {true, 0, 9, 0}},
    {{1, 3, 4, 1, 1, 2}, {true, 90, 0, 5}},
};
// Several tiles of queries and keys, with ragged ends.
const std::vector<Case> kLarge = {
    {{1, 131, 131, 2, 1, 16}, {true, 0, 0, 0}},      {{1, 70, 300, 1, 1, 8}, {true, 230, 0, 0}},
    {{1, 200, 257, 1, 1, 7}, {false, 0, 0, 0}},      {{1, 307, 307, 1, 1, 5}, {true, 0, 0, 83}},
    {{1, 129, 260, 1, 1, 5}, {true, 400, 250, 150}},
};

std::vector<Case> AllCases() {
  auto all = kSmall;
  all.insert(all.end(), kLarge.begin(), kLarge.end());
  return all;
}

template <class T>
void CheckForward(double tolerance) {
  for (const Case& c : AllCases()) {
    Heads<T> h(c.shape, c.mask);
    std::vector<double> out, lse;
    h.Fused();
    h.Formula(&out, &lse);
    CHECK(Error(AsDouble(h.out), out) < tolerance);
    CHECK(Error(AsDouble(h.lse), lse) < tolerance);
  }
}

}  // namespace

TEST_CASE("tiled attention follows its formula for any mask, offset, window and grouping", "[attention]") {
  CheckForward<double>(1e-13);
  CheckForward<float>(2e-6);
}

TEST_CASE("tiled attention on bf16 rounds its result once", "[attention]") {
  for (const Case& c : kLarge) {
    Heads<float> h(c.shape, c.mask);
    const auto q = As<Bf16>(AsDouble(h.q)), k = As<Bf16>(AsDouble(h.k)), v = As<Bf16>(AsDouble(h.v));
    h.q = As<float>(AsDouble(q)), h.k = As<float>(AsDouble(k)), h.v = As<float>(AsDouble(v));
    h.Fused();
    std::vector<Bf16> out(h.out.size());
    std::vector<float> lse(h.lse.size());
    Attention<Bf16>(h.shape, h.mask, h.scale, q.data(), k.data(), v.data(), out.data(), lse.data(), h.workspace.data());
    CHECK(Error(AsDouble(out), AsDouble(h.out)) < 0x1p-8);
    CHECK(Error(AsDouble(lse), AsDouble(h.lse)) < 1e-6);
  }
}

TEST_CASE("the gradients of tiled attention are its central differences", "[attention]") {
  for (const Case& c : kSmall) {
    Heads<double> h(c.shape, c.mask);
    const auto dout = Random(Index(h.out.size()), 4);
    h.Fused();
    const auto out = h.out, lse = h.lse;
    std::vector<double> dq(h.q.size()), dk(h.k.size()), dv(h.v.size());
    AttentionBackward<double>(h.shape, h.mask, h.scale, h.q.data(), h.k.data(), h.v.data(), out.data(), lse.data(),
                              dout.data(), dq.data(), dk.data(), dv.data(), h.workspace.data());
    const auto loss = [&] {
      h.Fused();
      return Dot(h.out, dout);
    };
    CHECK(Error(dq, Differences(h.q, loss)) < kDifferenceTolerance);
    CHECK(Error(dk, Differences(h.k, loss)) < kDifferenceTolerance);
    CHECK(Error(dv, Differences(h.v, loss)) < kDifferenceTolerance);
  }
}

TEST_CASE("tiled and three-step attention agree, forward and backward", "[attention]") {
  for (const Case& c : AllCases()) {
    Heads<double> h(c.shape, c.mask);
    const auto& s = h.shape;
    const auto dout = Random(Index(h.out.size()), 4);
    h.Fused();
    std::vector<double> dq(h.q.size()), dk(h.k.size()), dv(h.v.size());
    AttentionBackward<double>(s, h.mask, h.scale, h.q.data(), h.k.data(), h.v.data(), h.out.data(), h.lse.data(),
                              dout.data(), dq.data(), dk.data(), dv.data(), h.workspace.data());

    std::vector<double> p(s.batch * s.heads * s.queries * s.keys), dp(p.size()), out(h.out.size());
    std::vector<double> dq3(h.q.size()), dk3(h.k.size()), dv3(h.v.size());
    AttentionScores<double>(s, h.q.data(), h.k.data(), p.data());
    MaskedSoftmax<double>(s.batch * s.heads, s.queries, s.keys, h.scale, h.mask, p.data(), p.data());
    AttentionContext<double>(s, p.data(), h.v.data(), out.data());
    AttentionContextBackward<double>(s, dout.data(), p.data(), h.v.data(), dp.data(), dv3.data());
    MaskedSoftmaxBackward<double>(s.batch * s.heads, s.queries, s.keys, h.scale, p.data(), dp.data(), dp.data());
    AttentionScoresBackward<double>(s, dp.data(), h.q.data(), h.k.data(), dq3.data(), dk3.data());
    CHECK(Error(h.out, out) < 1e-13);
    CHECK(Error(dq, dq3) < 1e-13);
    CHECK(Error(dk, dk3) < 1e-13);
    CHECK(Error(dv, dv3) < 1e-13);
  }
}

TEST_CASE("attention over keys in slices, merged, is attention over all keys; so are its gradients", "[attention]") {
  const Index keys = 150;
  Heads<double> whole({1, 40, keys, 4, 2, 8}, {true, 100, 0, 0});
  const auto dout = Random(Index(whole.out.size()), 4);
  const auto& s = whole.shape;
  whole.Fused();
  std::vector<double> dq(whole.q.size()), dk(whole.k.size()), dv(whole.v.size()), dq_slices(dq), dk_slices(dk),
      dv_slices(dv);
  AttentionBackward<double>(s, whole.mask, whole.scale, whole.q.data(), whole.k.data(), whole.v.data(),
                            whole.out.data(), whole.lse.data(), dout.data(), dq.data(), dk.data(), dv.data(),
                            whole.workspace.data());

  std::vector<double> out(whole.out.size()), lse(whole.lse.size(), -INFINITY), part(out), part_lse(lse);
  const auto slices = {std::pair<Index, Index>{110, 150}, {0, 13}, {13, 110}};  // the first hides all from some
  for (auto [first, last] : slices) {
    AttentionShape slice = s;
    slice.keys = last - first;
    const AttentionMask mask{true, 100, first, 0};
    const Index at = first * s.key_pitch;
    Attention<double>(slice, mask, whole.scale, whole.q.data(), whole.k.data() + at, whole.v.data() + at, part.data(),
                      part_lse.data(), whole.workspace.data());
    MergeAttention<double>(s.queries * s.heads, s.head_size, out.data(), lse.data(), part.data(), part_lse.data());
  }
  CHECK(Error(out, whole.out) < 1e-14);
  CHECK(Error(lse, whole.lse) < 1e-14);
  for (auto [first, last] : slices) {
    AttentionShape slice = s;
    slice.keys = last - first;
    const Index at = first * s.key_pitch;
    AttentionBackward<double>(slice, {true, 100, first, 0}, whole.scale, whole.q.data(), whole.k.data() + at,
                              whole.v.data() + at, out.data(), lse.data(), dout.data(), dq_slices.data(),
                              dk_slices.data() + at, dv_slices.data() + at, whole.workspace.data());
  }
  CHECK(Error(dq_slices, dq) < 1e-13);
  CHECK(Error(dk_slices, dk) < 1e-13);
  CHECK(Error(dv_slices, dv) < 1e-13);
}
