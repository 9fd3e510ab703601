#include "study/search/shares.h"

#include <catch2/catch.hpp>
#include <numeric>

using namespace isochrone::study;

namespace {

Shares<int> Numbers(int count, int shares) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return {numbers, shares};
}

}  // namespace

TEST_CASE("a share is taken from its front, and who has none left takes from the end of the largest", "[search]") {
  Shares<int> ten = Numbers(10, 3);  // 0 1 2 | 3 4 5 | 6 7 8 9
  for (const int wanted : {0, 1, 2, 9}) CHECK(ten.Take(0) == wanted);
  for (const int wanted : {3, 4}) CHECK(ten.Take(1) == wanted);
  for (const int wanted : {8, 7, 5, 6}) CHECK(ten.Take(0) == wanted);
  for (const int share : {0, 1, 2}) CHECK(ten.Take(share) == std::nullopt);
}

TEST_CASE("more shares than items leave some shares empty", "[search]") {
  Shares<int> two = Numbers(2, 4);
  CHECK(two.Take(0).has_value());
  CHECK(two.Take(2).has_value());
  CHECK_FALSE(two.Take(1).has_value());
  CHECK_FALSE(Numbers(0, 2).Take(1).has_value());
}
