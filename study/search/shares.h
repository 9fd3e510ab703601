#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace isochrone::study {

/// Work that threads take from shares of their own, so that each stays among neighbours. Who has none left takes from
/// the end of the largest share. Not for several threads at once.
template <class Item>
class Shares {
 public:
  Shares() = default;
  Shares(std::vector<Item> items, int shares) : items_(std::move(items)) {
    for (int i = 0; i < shares; ++i) rest_.push_back({items_.size() * i / shares, items_.size() * (i + 1) / shares});
  }

  /// Nothing when all is taken.
  std::optional<Item> Take(int share) {
    if (rest_[share].Size() > 0) return items_[rest_[share].begin++];
    const auto largest =
        std::max_element(rest_.begin(), rest_.end(), [](const Rest& a, const Rest& b) { return a.Size() < b.Size(); });
    if (largest->Size() == 0) return std::nullopt;
    return items_[--largest->end];
  }

 private:
  struct Rest {
    std::size_t begin = 0, end = 0;
    std::size_t Size() const { return end - begin; }
  };
  std::vector<Item> items_;
  std::vector<Rest> rest_;  // [share]
};

}  // namespace isochrone::study
