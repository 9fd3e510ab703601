#include "executor/cuda/store.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/error.h"

namespace isochrone::executor::cuda {
namespace {

class LocalStore final : public Store {
 public:
  explicit LocalStore(double timeout_s) : timeout_(timeout_s) {}

  void Set(const std::string& key, std::span<const std::byte> value) override {
    {
      const std::lock_guard lock(mutex_);
      values_[key].assign(value.begin(), value.end());
    }
    changed_.notify_all();
  }
  std::vector<std::byte> Get(const std::string& key) override {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, timeout_, [&] { return values_.count(key) > 0; }))
      throw Error("waiting for " + key, "no rank has set it in time", "look at the other ranks' errors");
    return values_[key];
  }

 private:
  std::chrono::duration<double> timeout_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::vector<std::byte>> values_;
};

}  // namespace

std::unique_ptr<Store> MakeLocalStore(double timeout_s) { return std::make_unique<LocalStore>(timeout_s); }

}  // namespace isochrone::executor::cuda
