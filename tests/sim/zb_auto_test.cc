// The greedy zero-bubble orders against all orders (small cases) and against the rates that their paper prints.
#include <catch2/catch.hpp>

#include "tests/sim/plans.h"

using namespace isochrone;
using namespace isochrone::sim;
using plan::ScheduleKind;

namespace {

/// Every order of m forward (0), input (1) and weight (2) passes of one rank in which a microbatch's come in this order
/// and no more than `cap` are alive. Microbatches are alike, so each kind runs them in turn.
void Orders(int m, int cap, std::vector<int>& order, int (&count)[3], std::vector<std::vector<int>>& out) {
  if (count[2] == m) out.push_back(order);
  for (int kind = 0; kind < 3; ++kind) {
    if (count[kind] == (kind == 0 ? m : count[kind - 1])) continue;
    if (kind == 0 && count[0] - count[2] == cap) continue;
    ++count[kind];
    order.push_back(kind);
    Orders(m, cap, order, count, out);
    order.pop_back();
    --count[kind];
  }
}

/// Longest own span when each rank runs its order as soon as it can; infinite if the orders wait in a circle.
double SpanOfOrders(const std::vector<const std::vector<int>*>& orders, int m, const double (&cost)[3],
                    double message) {
  const int p = static_cast<int>(orders.size());
  std::vector<std::vector<double>> end[2];
  for (auto& kind : end) kind.assign(p, std::vector<double>(m, -1));
  std::vector<std::size_t> at(p, 0);
  std::vector<double> now(p, 0), begin(p, -1);
  std::vector<int> next(3 * p, 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (int rank = 0; rank < p; ++rank) {
      for (; at[rank] < orders[rank]->size(); ++at[rank], moved = true) {
        const int kind = (*orders[rank])[at[rank]], from = kind == 0 ? rank - 1 : rank + 1;
        double ready = 0;
        if (kind < 2 && from >= 0 && from < p) {
          ready = end[kind][from][next[3 * rank + kind]];
          if (ready < 0) break;
          ready += message;
        }
        now[rank] = std::max(now[rank], ready);
        if (begin[rank] < 0) begin[rank] = now[rank];
        now[rank] += cost[kind];
        if (kind < 2) end[kind][rank][next[3 * rank + kind]] = now[rank];
        ++next[3 * rank + kind];
      }
    }
  }
  double span = 0;
  for (int rank = 0; rank < p; ++rank) {
    if (at[rank] < orders[rank]->size()) return std::numeric_limits<double>::infinity();
    span = std::max(span, now[rank] - begin[rank]);
  }
  return span;
}

double BestSpan(int p, int m, int cap, const double (&cost)[3], double message) {
  std::vector<std::vector<int>> all;
  std::vector<int> order;
  int count[3] = {0, 0, 0};
  Orders(m, cap, order, count, all);
  double best = std::numeric_limits<double>::infinity();
  std::vector<std::size_t> choice(p, 0);
  for (;;) {
    std::vector<const std::vector<int>*> orders;
    for (const auto i : choice) orders.push_back(&all[i]);
    best = std::min(best, SpanOfOrders(orders, m, cost, message));
    int rank = 0;
    while (rank < p && ++choice[rank] == all.size()) choice[rank++] = 0;
    if (rank == p) return best;
  }
}

}  // namespace

TEST_CASE("greedy zero-bubble orders are near the best of all orders", "[zb_auto]") {
  struct Case {
    double cost[3], message;
    std::vector<std::pair<int, int>> shapes;  // ranks, microbatches
  };
  const Case cases[] = {{{10, 10, 10}, 0, {{2, 2}, {2, 3}, {2, 4}, {3, 2}}},
                        {{10, 12, 7}, 1, {{2, 2}, {2, 3}, {3, 2}}},
                        {{18.5, 18.1, 9.3}, 0.8, {{2, 3}, {3, 2}, {3, 3}}},
                        {{8, 11, 10}, 0.5, {{2, 2}, {2, 3}, {3, 2}}}};
  for (const Case& c : cases) {
    const auto costs = Costs(c.cost[0], c.cost[1], c.cost[2], c.message);
    for (const auto& [p, m] : c.shapes) {
      for (const auto kind : {ScheduleKind::kZbAuto1p, ScheduleKind::kZbAuto2p}) {
        const double greedy = SpanOf(Uniform(PlanOf(plan::BuildSchedule({kind, p, 1, m}, costs)), costs));
        const double best = BestSpan(p, m, kind == ScheduleKind::kZbAuto1p ? p : 2 * p, c.cost, c.message);
        INFO(plan::NameOf(kind) << " p " << p << " m " << m << " F " << c.cost[0] << " greedy " << greedy << " best "
                                << best);
        REQUIRE(greedy >= best - 1e-9);
        CHECK(greedy <= best * 1.05);
      }
    }
  }
}
