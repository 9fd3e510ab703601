#include "sim/network/max_min.h"

#include <catch2/catch.hpp>
#include <limits>
#include <random>

using isochrone::sim::network::MaxMinSolver;

namespace {

std::vector<double> Rates(const std::vector<double>& capacity, const std::vector<std::vector<int>>& flows) {
  std::vector<int> first{0}, links;
  for (const auto& f : flows) {
    links.insert(links.end(), f.begin(), f.end());
    first.push_back(static_cast<int>(links.size()));
  }
  std::vector<double> rates(flows.size());
  MaxMinSolver(capacity).Solve(first, links, rates);
  return rates;
}

}  // namespace

TEST_CASE("the long flow of a parking lot gets the share of its tightest link", "[network][max_min]") {
  // 0 crosses all three links; links of 6, 10, 3 with one, two, one other flows
  CHECK(Rates({6, 10, 3}, {{0, 1, 2}, {0}, {1}, {1}, {2}}) == std::vector<double>{1.5, 4.5, 4.25, 4.25, 1.5});
}

TEST_CASE("a flow over no link is not limited", "[network][max_min]") {
  CHECK(Rates({1}, {{}, {0}}) == std::vector<double>{std::numeric_limits<double>::infinity(), 1});
}

TEST_CASE("a solver can be asked again", "[network][max_min]") {
  MaxMinSolver solver({4, 8});
  std::vector<double> rates(2);
  for (int i = 0; i < 2; ++i) {
    solver.Solve(std::vector<int>{0, 1, 3}, std::vector<int>{0, 0, 1}, rates);
    CHECK(rates == std::vector<double>{2, 2});
    solver.Solve(std::vector<int>{0, 1, 2}, std::vector<int>{0, 1}, rates);
    CHECK(rates == std::vector<double>{4, 8});
  }
}

TEST_CASE("in random networks no link overflows and every flow has a full link where none is faster",
          "[network][max_min]") {
  // This is the definition of max-min fairness (Bertsekas & Gallager, 6.5.2): it has exactly one solution.
  std::mt19937 random(7);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> capacity(30);
    for (double& c : capacity) c = std::uniform_real_distribution<double>(1, 100)(random);
    std::vector<std::vector<int>> flows(200);
    for (auto& f : flows)
      for (int link = 0; link < 30; ++link)
        if (random() % 8 == 0) f.push_back(link);
    for (auto& f : flows)
      if (f.empty()) f.push_back(static_cast<int>(random() % 30));
    const std::vector<double> rates = Rates(capacity, flows);
    std::vector<double> used(30, 0), fastest(30, 0);
    for (std::size_t f = 0; f < flows.size(); ++f)
      for (const int link : flows[f]) {
        used[link] += rates[f];
        fastest[link] = std::max(fastest[link], rates[f]);
      }
    for (int link = 0; link < 30; ++link) CHECK(used[link] <= capacity[link] * (1 + 1e-9));
    for (std::size_t f = 0; f < flows.size(); ++f) {
      bool bottleneck = false;
      for (const int link : flows[f])
        bottleneck |= used[link] >= capacity[link] * (1 - 1e-9) && rates[f] >= fastest[link] * (1 - 1e-9);
      CHECK(bottleneck);
    }
  }
}
