#include "executor/workers.h"

#include <algorithm>

namespace isochrone::executor {
namespace {

constexpr int kLooks = 20000;  // at a flag before a thread sleeps, about 50 us: ops follow each other more closely

template <class V>
void WaitWhile(const std::atomic<V>& flag, V value) {
  for (int i = 0; i < kLooks; ++i) {
    if (flag.load(std::memory_order_acquire) != value) return;
  }
  while (flag.load(std::memory_order_acquire) == value) flag.wait(value, std::memory_order_acquire);
}

}  // namespace

Workers::Workers(int threads) {
  for (int part = 1; part < threads; ++part) threads_.emplace_back([this, part] { Work(part); });
}

Workers::~Workers() {
  ends_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& t : threads_) t.join();
}

int Workers::PartsOf(Index n, Index least) const {
  return static_cast<int>(std::clamp<Index>(n / std::max<Index>(least, 1), 1, Threads()));
}

void Workers::Run(const Job& job) {
  job_ = job;
  unfinished_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  job.Do(0);
  for (int left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire))
    WaitWhile(unfinished_, left);
}

void Workers::Work(int part) {
  for (std::uint32_t seen = 0;; ++seen) {
    WaitWhile(round_, seen);
    if (ends_) return;
    if (part < job_.parts) job_.Do(part);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_all();
  }
}

}  // namespace isochrone::executor
