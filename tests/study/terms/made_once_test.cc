#include "study/terms/made_once.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace isochrone::study;

namespace {

/// All threads call body at once.
template <class Body>
void AtOnce(int count, const Body& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body);
  for (std::thread& t : threads) t.join();
}

}  // namespace

TEST_CASE("a value that many threads ask for is made once, and all get it where it is", "[search]") {
  constexpr int kKeys = 200, kThreads = 4;
  MadeOnce<int, std::vector<int>> squares;
  std::atomic<int> made = 0, wrong = 0;
  AtOnce(kThreads, [&] {
    std::vector<const std::vector<int>*> got;
    for (int key = 0; key < kKeys; ++key) {
      got.push_back(&squares.Get(key, [&] {
        ++made;
        if (key % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than one looks
        return std::vector<int>{key * key};
      }));
    }
    for (int key = 0; key < kKeys; ++key) {
      const auto& again = squares.Get(key, [&] { return ++made, std::vector<int>{}; });
      if (&again != got[key] || again.front() != key * key) ++wrong;
    }
  });
  CHECK(made == kKeys);
  CHECK(wrong == 0);
}

TEST_CASE("where making a value throws, who made it gets the error and who waited makes it", "[search]") {
  MadeOnce<int, int> values;
  std::atomic<int> tries = 0, errors = 0, sum = 0;
  AtOnce(4, [&] {
    try {
      sum += values.Get(7, [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        if (++tries == 1) throw std::runtime_error("the first fails");
        return 5;
      });
    } catch (const std::runtime_error&) {
      ++errors;
    }
  });
  CHECK(errors == 1);
  CHECK(tries == 2);
  CHECK(sum == 15);
}
