#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace isochrone::study {

/// Looks at what another thread is about to change, some 20 µs, before a thread gives its core away: most values are
/// made in less, and a thread that slept takes longer to wake.
inline constexpr int kLooks = 20'000;

/// A lock for what takes less than a microsecond.
class BriefLock {
 public:
  void lock() {
    for (int looks = 0; held_.test_and_set(std::memory_order_acquire);) {
      while (held_.test(std::memory_order_relaxed)) {
        if (++looks % kLooks == 0) std::this_thread::yield();
      }
    }
  }
  void unlock() { held_.clear(std::memory_order_release); }

 private:
  std::atomic_flag held_;
};

/// Values by key, each made once by the first thread that asks; others wait for it. Where making it throws, the next
/// that asks tries again. References stay good.
template <class Key, class Value>
class MadeOnce {
 public:
  template <class Make>
  const Value& Get(const Key& key, const Make& make) {
    Slot& slot = SlotOf(key);
    while (slot.state.load(std::memory_order_acquire) != kMade) {
      State state = kEmpty;
      if (slot.state.compare_exchange_strong(state, kMaking)) {
        MakeIn(slot, make);
        break;
      }
      for (int looks = 0; looks < kLooks && state == kMaking; ++looks)
        state = slot.state.load(std::memory_order_acquire);
      if (state == kMaking) slot.state.wait(kMaking, std::memory_order_acquire);
    }
    return *slot.value;
  }

 private:
  enum State : int { kEmpty, kMaking, kMade };
  struct Slot {
    std::atomic<State> state = kEmpty;
    std::optional<Value> value;
  };

  Slot& SlotOf(const Key& key) {
    const std::lock_guard lock(lock_);
    auto& slot = slots_[key];
    if (!slot) slot = std::make_unique<Slot>();
    return *slot;
  }

  template <class Make>
  static void MakeIn(Slot& slot, const Make& make) try {
    slot.value.emplace(make());
    slot.state.store(kMade, std::memory_order_release);
    slot.state.notify_all();
  } catch (...) {
    slot.state.store(kEmpty, std::memory_order_release);
    slot.state.notify_all();
    throw;
  }

  BriefLock lock_;
  std::map<Key, std::unique_ptr<Slot>> slots_;
};

}  // namespace isochrone::study
