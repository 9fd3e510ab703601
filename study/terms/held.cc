#include "study/terms/held.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace isochrone::study {
namespace {

/// Counts of one instant into `now`, [hold · kinds + kind].
void CountAt(const InFlight& in_flight, std::size_t rank, std::size_t instant, const Kinds& kinds, HeldNow& now) {
  const std::size_t chunks = static_cast<std::size_t>(in_flight.chunks), n = kinds.above.size();
  std::fill(now.begin(), now.end(), 0);
  const auto add = [&](Hold hold, std::size_t chunk, int count) {
    const auto stage = static_cast<std::size_t>(in_flight.stage[rank * chunks + chunk]);
    now[static_cast<std::size_t>(hold) * n + static_cast<std::size_t>(kinds.of[stage])] += count;
  };
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    add(Hold::kWhole, chunk, static_cast<int>(in_flight.whole[instant * chunks + chunk]));
    add(Hold::kRest, chunk, static_cast<int>(in_flight.rest[instant * chunks + chunk]));
  }
  const auto [forward, backward, half] = in_flight.instants[instant];
  if (forward >= 0) add(Hold::kForward, static_cast<std::size_t>(forward), 1);
  if (backward >= 0) add(half ? Hold::kBackwardInput : Hold::kBackward, static_cast<std::size_t>(backward), 1);
}

/// What activations weigh is a sum over kinds k of a chain, from above to below, of (count of all kinds down to k)
/// times (what k holds more than the one below it): adds up, or takes apart again, these counts.
class Chains {
 public:
  explicit Chains(const std::vector<int>& above) : above_(above) {
    std::vector<bool> below(above.size(), false);
    for (const int kind : above) {
      if (kind >= 0) below[static_cast<std::size_t>(kind)] = true;
    }
    for (std::size_t top = 0; top < above.size(); ++top) {
      if (below[top]) continue;
      for (int kind = static_cast<int>(top); above[static_cast<std::size_t>(kind)] >= 0;) {
        links_.push_back({kind, above[static_cast<std::size_t>(kind)]});
        kind = links_.back().second;
      }
    }
  }
  void AddUp(HeldNow& now) const {
    for (const int hold : {0, 1}) {
      for (auto link = links_.begin(); link != links_.end(); ++link)
        At(now, hold, link->second) += At(now, hold, link->first);
    }
  }
  void TakeApart(HeldNow& now) const {
    for (const int hold : {0, 1}) {
      for (auto link = links_.rbegin(); link != links_.rend(); ++link)
        At(now, hold, link->second) -= At(now, hold, link->first);
    }
  }

 private:
  int& At(HeldNow& now, int hold, int kind) const {
    return now[static_cast<std::size_t>(hold) * above_.size() + static_cast<std::size_t>(kind)];
  }

  const std::vector<int>& above_;
  std::vector<std::pair<int, int>> links_;  // a kind and the one that it is above, chain after chain
};

/// Appends a rank that holds `kept` at its instants.
void AddRank(const std::vector<HeldNow>& kept, Held& held) {
  const auto begin = static_cast<std::ptrdiff_t>(held.hold.size());
  for (std::size_t of = 0; of < kept.front().size(); ++of) {
    const auto holds = [&](const HeldNow& now) { return now[of] != 0; };
    if (std::any_of(kept.begin(), kept.end(), holds)) held.hold.push_back(static_cast<int>(of));
  }
  constexpr std::size_t kTogether = std::tuple_size_v<Held::Instants>;
  for (std::size_t first = 0; first < kept.size(); first += kTogether) {
    for (auto of = held.hold.begin() + begin; of != held.hold.end(); ++of) {
      Held::Instants counts{};
      for (std::size_t i = 0; i < kTogether && first + i < kept.size(); ++i)
        counts[i] = static_cast<float>(kept[first + i][static_cast<std::size_t>(*of)]);
      held.count.push_back(counts);
    }
  }
  held.first_hold.push_back(static_cast<int>(held.hold.size()));
  held.first_group.push_back(held.first_group.back() + static_cast<int>((kept.size() + kTogether - 1) / kTogether));
}

}  // namespace

Held HeldByKind(const InFlight& in_flight, const Kinds& kinds) {
  Held held;
  held.first_hold.push_back(0);
  held.first_group.push_back(0);
  const Chains chains(kinds.above);
  std::vector<HeldNow> kept;
  HeldNow now(kHolds * kinds.above.size());
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(in_flight.ranks); ++rank) {
    kept.clear();
    const auto end = static_cast<std::size_t>(in_flight.first[rank + 1]);
    for (auto i = static_cast<std::size_t>(in_flight.first[rank]); i < end; ++i) {
      CountAt(in_flight, rank, i, kinds, now);
      chains.AddUp(now);
      KeepFullest(now, kept);
    }
    for (HeldNow& instant : kept) chains.TakeApart(instant);
    AddRank(kept, held);
  }
  return held;
}

void MostHeld(const Held& held, std::span<const double> bytes, std::span<double> most) {
  const Held::Instants* count = held.count.data();
  for (std::size_t rank = 0; rank < most.size(); ++rank) {
    const int *begin = held.hold.data() + held.first_hold[rank], *end = held.hold.data() + held.first_hold[rank + 1];
    std::array<double, 4> fullest{};
    for (int group = held.first_group[rank]; group < held.first_group[rank + 1]; ++group) {
      std::array<double, 4> now{};
      for (const int* hold = begin; hold != end; ++hold, ++count) {
        const double each = bytes[static_cast<std::size_t>(*hold)];
        for (std::size_t i = 0; i < now.size(); ++i) now[i] += static_cast<double>((*count)[i]) * each;
      }
      for (std::size_t i = 0; i < now.size(); ++i) fullest[i] = std::max(fullest[i], now[i]);
    }
    most[rank] = *std::max_element(fullest.begin(), fullest.end());
  }
}

}  // namespace isochrone::study
