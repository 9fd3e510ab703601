#include "kernels/philox.h"

#include <algorithm>

#include "kernels/vectorised.h"

namespace isochrone::kernels {
namespace {

constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
constexpr int kLanes = 32;  // counters computed side by side

struct Lanes {
  alignas(64) std::uint32_t word[4][kLanes];
};

ISO_INLINE void Round(Lanes& s, std::uint32_t key0, std::uint32_t key1) {
  ISO_SIMD
  for (int i = 0; i < kLanes; ++i) {
    const std::uint64_t product0 = kMultiplier0 * s.word[0][i];
    const std::uint64_t product1 = kMultiplier1 * s.word[2][i];
    s.word[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ s.word[1][i] ^ key0;
    s.word[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ s.word[3][i] ^ key1;
    s.word[1][i] = static_cast<std::uint32_t>(product1);
    s.word[3][i] = static_cast<std::uint32_t>(product0);
  }
}

ISO_INLINE void AllRounds(Lanes& s, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < kRounds; ++round) {
    Round(s, key0, key1);
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
}

}  // namespace

std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  Lanes s{};
  for (int w = 0; w < 4; ++w) s.word[w][0] = counter[w];
  AllRounds(s, key[0], key[1]);
  return {s.word[0][0], s.word[1][0], s.word[2][0], s.word[3][0]};
}

ISO_VECTORISED
void RandomWords(std::uint64_t seed, std::uint64_t stream, Index first, Index count, std::uint32_t* out) {
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  Lanes s;
  alignas(64) std::uint32_t words[4 * kLanes];
  Index skip = first % 4;  // words of the first counter that belong to earlier elements
  for (std::uint64_t block = static_cast<std::uint64_t>(first / 4); count > 0; block += kLanes) {
    for (int i = 0; i < kLanes; ++i) {
      s.word[0][i] = low(block + i);
      s.word[1][i] = low((block + i) >> 32);
      s.word[2][i] = low(stream);
      s.word[3][i] = low(stream >> 32);
    }
    AllRounds(s, low(seed), low(seed >> 32));
    for (int i = 0; i < kLanes; ++i)
      for (int w = 0; w < 4; ++w) words[4 * i + w] = s.word[w][i];
    const Index taken = std::min<Index>(count, 4 * kLanes - skip);
    std::copy_n(words + skip, taken, out);
    out += taken;
    count -= taken;
    skip = 0;
  }
}

}  // namespace isochrone::kernels
