#include "kernels/philox.h"

#include <catch2/catch.hpp>

#include <vector>

using isochrone::kernels::Index;
using isochrone::kernels::Philox4x32;
using isochrone::kernels::RandomWords;
using Words = std::array<std::uint32_t, 4>;

TEST_CASE("Philox4x32-10 gives the known answers of Random123", "[philox]") {
  // Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
  CHECK(Philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random words of a range are those of the whole, wherever it starts", "[philox]") {
  const std::uint64_t seed = 0x123456789abcdef0, stream = 0xfedcba9876543210;
  std::vector<std::uint32_t> whole(1000);
  RandomWords(seed, stream, 0, 1000, whole.data());
  for (Index first : {0, 1, 2, 3, 4, 127, 128, 129, 500}) {
    for (Index count : {1, 2, 3, 5, 127, 128, 131, 500}) {
      std::vector<std::uint32_t> part(count);
      RandomWords(seed, stream, first, count, part.data());
      CHECK(part == std::vector<std::uint32_t>(whole.begin() + first, whole.begin() + first + count));
    }
  }
}

TEST_CASE("random words are Philox of the element's index, also beyond 32 bits", "[philox]") {
  const std::uint64_t seed = 0x0000000700000005, stream = 0x0000000b00000003;
  const Index first = (Index{1} << 36) + 8;
  std::vector<std::uint32_t> words(4);
  RandomWords(seed, stream, first, 4, words.data());
  const Words expected = Philox4x32({2, 4, 3, 11}, {5, 7});
  CHECK(words == std::vector<std::uint32_t>(expected.begin(), expected.end()));
}
