#include "kernels/unfused_attention.h"

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr Transpose kNo = Transpose::kNo, kYes = Transpose::kYes;

// Where one head of one sequence starts in each array, and whether it is the first of those that share keys.
struct HeadAt {
  Index query, key, out, scores;
  bool first_of_group;
};

template <class Body>
void ForEachHead(const AttentionShape& s, Body body) {
  ISO_CHECK(s.kv_heads > 0 && s.heads % s.kv_heads == 0);
  const Index group = s.heads / s.kv_heads;
  for (Index b = 0; b < s.batch; ++b)
    for (Index a = 0; a < s.heads; ++a)
      body(HeadAt{b * s.queries * s.query_pitch + a * s.head_size, b * s.keys * s.key_pitch + a / group * s.head_size,
                  (b * s.queries * s.heads + a) * s.head_size, (b * s.heads + a) * s.queries * s.keys, a % group == 0});
}

}  // namespace

template <class T>
void AttentionScores(const AttentionShape& s, const T* q, const T* k, T* scores) {
  ForEachHead(s, [&](HeadAt h) {
    Gemm<T>(kNo, kYes, s.queries, s.keys, s.head_size, 1, q + h.query, s.query_pitch, k + h.key, s.key_pitch, 0,
            scores + h.scores, s.keys);
  });
}

template <class T>
void AttentionScoresBackward(const AttentionShape& s, const T* dscores, const T* q, const T* k, T* dq, T* dk) {
  ForEachHead(s, [&](HeadAt h) {
    Gemm<T>(kNo, kNo, s.queries, s.head_size, s.keys, 1, dscores + h.scores, s.keys, k + h.key, s.key_pitch, 0,
            dq + h.query, s.query_pitch);
    Gemm<T>(kYes, kNo, s.keys, s.head_size, s.queries, 1, dscores + h.scores, s.keys, q + h.query, s.query_pitch,
            h.first_of_group ? 0 : 1, dk + h.key, s.key_pitch);
  });
}

template <class T>
void AttentionContext(const AttentionShape& s, const T* probabilities, const T* v, T* out) {
  ForEachHead(s, [&](HeadAt h) {
    Gemm<T>(kNo, kNo, s.queries, s.head_size, s.keys, 1, probabilities + h.scores, s.keys, v + h.key, s.key_pitch, 0,
            out + h.out, s.heads * s.head_size);
  });
}

template <class T>
void AttentionContextBackward(const AttentionShape& s, const T* dout, const T* probabilities, const T* v,
                              T* dprobabilities, T* dv) {
  ForEachHead(s, [&](HeadAt h) {
    Gemm<T>(kNo, kYes, s.queries, s.keys, s.head_size, 1, dout + h.out, s.heads * s.head_size, v + h.key, s.key_pitch,
            0, dprobabilities + h.scores, s.keys);
    Gemm<T>(kYes, kNo, s.keys, s.head_size, s.queries, 1, probabilities + h.scores, s.keys, dout + h.out,
            s.heads * s.head_size, h.first_of_group ? 0 : 1, dv + h.key, s.key_pitch);
  });
}

#define ISO_UNFUSED(T)                                                                                   \
  template void AttentionScores<T>(const AttentionShape&, const T*, const T*, T*);                       \
  template void AttentionScoresBackward<T>(const AttentionShape&, const T*, const T*, const T*, T*, T*); \
  template void AttentionContext<T>(const AttentionShape&, const T*, const T*, T*);                      \
  template void AttentionContextBackward<T>(const AttentionShape&, const T*, const T*, const T*, T*, T*);
ISO_FOR_REAL(ISO_UNFUSED)

}  // namespace isochrone::kernels
