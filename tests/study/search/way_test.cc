#include "study/search/way.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace isochrone::study;

namespace {

std::vector<std::size_t> Values(Way way, std::size_t values) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < values; ++i) order.push_back(way.At(i, values));
  return order;
}

}  // namespace

TEST_CASE("a thread alone asks in the order of the axis, a second one backwards, others from further on", "[search]") {
  using Order = std::vector<std::size_t>;
  CHECK(Values({}, 4) == Order{0, 1, 2, 3});
  CHECK(Values({0, 4}, 4) == Order{0, 1, 2, 3});
  CHECK(Values({1, 4}, 4) == Order{3, 2, 1, 0});
  CHECK(Values({2, 4}, 4) == Order{2, 3, 0, 1});
  CHECK(Values({3, 4}, 4) == Order{1, 0, 3, 2});
}

TEST_CASE("every thread asks for every value once", "[search]") {
  for (std::size_t threads = 1; threads <= 9; ++threads) {
    for (std::size_t who = 0; who < threads; ++who) {
      for (std::size_t values = 1; values <= 12; ++values) {
        INFO(who << " of " << threads << " threads, " << values << " values");
        std::vector<std::size_t> order = Values({who, threads}, values);
        std::sort(order.begin(), order.end());
        for (std::size_t v = 0; v < values; ++v) CHECK(order[v] == v);
      }
    }
  }
}
