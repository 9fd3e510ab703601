#include "costmodel/pass_price.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "base/error.h"

namespace isochrone::costmodel {
namespace {

using plan::kStreams;

/// The state of the play: one op at most runs on each stream, and time moves to the next end.
class Player {
 public:
  Player(const std::vector<plan::Op>& ops, const std::vector<double>& seconds, const Contention& contention,
         const std::vector<double>& late)
      : ops_(ops),
        seconds_(seconds),
        late_(late),
        contention_(contention),
        spans_(ops.size()),
        done_(ops.size(), false) {
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
            if (s == 0) started_ = true;
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

  bool HoldsUp() const {
    for (std::size_t s = 1; s < kStreams; ++s) {
      if (running_[s] != kNone && contention_.holds_up[s]) return true;
    }
    return false;
  }

  /// Factors on the time that is left of what runs on each stream.
  std::array<double, kStreams> Slowness() const {
    const bool product = running_[0] != kNone && IsProduct(ops_[running_[0]]);
    double beside = 1;
    for (std::size_t s = 1; s < kStreams; ++s) {
      const bool shares = running_[s] != kNone && !(product && contention_.holds_up[s]);
      if (shares) beside = std::max(beside, contention_.compute[s]);
    }
    std::array<double, kStreams> slowness;
    slowness.fill(running_[0] != kNone ? contention_.communication : 1);
    slowness[0] = slack_ == 0 && held_up_ > 0 ? 1 / (2 - contention_.product) : beside;
    return slowness;
  }

  void Advance() {
    if (!HoldsUp()) {
      slack_ = held_up_ = 0;
    } else if (started_) {
      held_up_ = IsProduct(ops_[running_[0]]) ? left_[0] * (late_.empty() ? 1 : late_[running_[0]]) : 0;
      slack_ = held_up_ > 0 ? left_[0] - held_up_ : 0;
    }
    started_ = false;
    const std::array<double, kStreams> slowness = Slowness();
    double& phase = slack_ > 0 ? slack_ : held_up_;
    double step = phase > 0 ? phase : std::numeric_limits<double>::infinity();
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (running_[s] != kNone) step = std::min(step, left_[s] * slowness[s]);
    }
    phase = std::max(0.0, phase - step);
    now_ += step;
    if (running_[0] != kNone) {
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
  const std::vector<double>&seconds_, &late_;
  const Contention& contention_;
  std::array<std::vector<std::size_t>, kStreams> queue_;
  std::array<std::size_t, kStreams> next_{}, running_{};
  std::array<double, kStreams> left_{};
  std::vector<OpSpan> spans_;
  std::vector<bool> done_;
  PassPrice price_;
  double now_ = 0;
  double slack_ = 0, held_up_ = 0;  // how long until late blocks hold up the running product, and then at most
  bool started_ = false;            // an op on the compute stream, now
};

}  // namespace

double LateShare(double tiles, double multiprocessors, double held) {
  const double late = std::ceil((tiles - (multiprocessors - held)) / multiprocessors);
  return std::max(0.0, late) / std::ceil(tiles / multiprocessors);
}

bool IsProduct(const plan::Op& op) {
  return std::holds_alternative<plan::Gemm>(op.kind) || std::holds_alternative<plan::GroupedGemm>(op.kind);
}

Slowdowns SlowdownsBeside(const Contention& contention, plan::Stream stream, double products, double late) {
  const auto s = static_cast<std::size_t>(stream);
  const double even = contention.compute[s];
  const bool holds_up = contention.holds_up[s];
  return {holds_up ? (1 - products) * even + products + late * (contention.product - 1) : even,
          contention.communication};
}

PassPrice PriceOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                      const Contention& contention, const std::vector<double>& late) {
  return Player(ops, seconds, contention, late).Play();
}

std::vector<OpSpan> SpansOfPass(const std::vector<plan::Op>& ops, const std::vector<double>& seconds,
                                const Contention& contention, const std::vector<double>& late) {
  Player player(ops, seconds, contention, late);
  player.Play();
  return std::move(player).spans();
}

}  // namespace isochrone::costmodel
