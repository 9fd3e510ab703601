#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace isochrone::kernels::emulation {

/// Tells sanitizers which stack runs. Nothing without them.
class FiberSwitch {
 public:
#if defined(__SANITIZE_ADDRESS__)
  /// bottom  the lowest address of the thread's stack
  void Create(const void* bottom, std::size_t size) {
    thread_bottom_ = bottom;
    thread_size_ = size;
  }
  void LeaveScheduler() { __sanitizer_start_switch_fiber(&scheduler_fake_, thread_bottom_, thread_size_); }
  void EnterThread() { __sanitizer_finish_switch_fiber(thread_fake_, &scheduler_bottom_, &scheduler_size_); }
  void LeaveThread() { __sanitizer_start_switch_fiber(&thread_fake_, scheduler_bottom_, scheduler_size_); }
  void EnterScheduler() { __sanitizer_finish_switch_fiber(scheduler_fake_, nullptr, nullptr); }

 private:
  void *scheduler_fake_ = nullptr, *thread_fake_ = nullptr;
  const void *thread_bottom_ = nullptr, *scheduler_bottom_ = nullptr;
  std::size_t thread_size_ = 0, scheduler_size_ = 0;
#elif defined(__SANITIZE_THREAD__)
  FiberSwitch() = default;
  ~FiberSwitch() {
    if (thread_ != nullptr) __tsan_destroy_fiber(thread_);
  }
  FiberSwitch(const FiberSwitch&) = delete;
  FiberSwitch& operator=(const FiberSwitch&) = delete;
  void Create(const void*, std::size_t) { thread_ = __tsan_create_fiber(0); }
  void LeaveScheduler() {
    scheduler_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(thread_, 0);
  }
  void EnterThread() {}
  void LeaveThread() { __tsan_switch_to_fiber(scheduler_, 0); }
  void EnterScheduler() {}

 private:
  void *thread_ = nullptr, *scheduler_ = nullptr;
#else
  void Create(const void*, std::size_t) {}
  void LeaveScheduler() {}
  void EnterThread() {}
  void LeaveThread() {}
  void EnterScheduler() {}
#endif
};

}  // namespace isochrone::kernels::emulation
