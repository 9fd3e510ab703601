#include "costmodel/pass_price.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace isochrone::costmodel {
namespace {

using plan::kStreams;

/// The state of the play: one op at most runs on each stream, and time moves to the next end.
class Player {
 public:
  Player(const std::vector<plan::Op>& ops, const std::vector<double>& seconds, const Contention& contention)
      : ops_(ops), seconds_(seconds), contention_(contention), spans_(ops.size()), done_(ops.size(), false) {
    for (std::size_t i = 0; i < ops.size(); ++i) queue_[StreamOf(i)].push_back(i);
    running_.fill(kNone);
  }

  PassPrice Play() {
    StartReady();
    while (std::any_of(running_.begin(), running_.end(), [](std::size_t i) { return i != kNone; })) {
      Advance();
      StartReady();
    }
    for (std::size_t s = 0; s < kStreams; ++s) ISO_CHECK(next_[s] == queue_[s].size());
    price_.total = now_;
    return price_;
  }

  std::vector<OpSpan> spans() && { return std::move(spans_); }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  std::size_t StreamOf(std::size_t op) const { return static_cast<std::size_t>(ops_[op].stream); }

  void StartReady() {
    bool again = true;  // an op without work ends at once and may free another stream
    while (again) {
      again = false;
      for (std::size_t s = 0; s < kStreams; ++s) {
        while (running_[s] == kNone && next_[s] < queue_[s].size()) {
          const std::size_t i = queue_[s][next_[s]];
          const auto& after = ops_[i].after;
          if (!std::all_of(after.begin(), after.end(), [&](int a) { return done_[static_cast<std::size_t>(a)]; }))
            break;
          ++next_[s];
          spans_[i].start = now_;
          price_.busy[s] += seconds_[i];
          if (seconds_[i] > 0) {
            running_[s] = i;
            left_[s] = seconds_[i];
          } else {
            End(i);
            again = true;
          }
        }
      }
    }
  }

  void End(std::size_t i) {
    done_[i] = true;
    spans_[i].end = now_;
  }

  void Advance() {
    const bool compute = running_[0] != kNone;
    const bool communicates =
        std::any_of(running_.begin() + 1, running_.end(), [](std::size_t i) { return i != kNone; });
    const bool both = compute && communicates;
    std::array<double, kStreams> slowness;
    slowness.fill(both ? contention_.communication : 1);
    slowness[0] = both ? contention_.compute : 1;
    double step = std::numeric_limits<double>::infinity();
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (running_[s] != kNone) step = std::min(step, left_[s] * slowness[s]);
    }
    now_ += step;
    if (compute) {
      price_.compute += step;
    } else {
      for (std::size_t s = 1; s < kStreams; ++s) {
        if (running_[s] == kNone) continue;
        price_.exposed[s] += step;
        break;
      }
    }
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (running_[s] == kNone) continue;
      const bool ends = left_[s] * slowness[s] <= step;
      left_[s] -= step / slowness[s];
      if (!ends) continue;
      End(running_[s]);
      running_[s] = kNone;
    }
  }

  const std::vector<plan::Op>& ops_;
  const std::vector<double>& seconds_;
  const Contention& contention_;
  std::array<std::vector<std::size_t>, kStreams> queue_;
  std::array<std::size_t, kStreams> next_{}, running_{};
  std::array<double, kStreams> left_{};
  std::vector<OpSpan> spans_;
  std::vector<bool> done_;
  PassPrice price_;
  double now_ = 0;
};

}  // namespace

PassPrice PriceOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                      const Contention& contention) {
  return Player(ops, seconds, contention).Play();
}

std::vector<OpSpan> SpansOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                                const Contention& contention) {
  Player player(ops, seconds, contention);
  player.Play();
  return std::move(player).spans();
}

}  // namespace isochrone::costmodel
