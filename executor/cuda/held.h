#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/calls.h"

namespace isochrone::executor::cuda {

/// Pinned host memory that is freed with its owner.
class PinnedMemory {
 public:
  PinnedMemory(Calls& calls, std::size_t bytes) : calls_(calls), data_(calls.MallocHost(bytes)) {}
  ~PinnedMemory() { calls_.FreeHost(data_); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  template <class T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  Calls& calls_;
  void* data_;
};

/// A communicator that is destroyed with its owner.
class HeldComm {
 public:
  explicit HeldComm(Calls& calls) : calls_(calls) {}
  ~HeldComm() {
    if (comm_) calls_.DestroyComm(*comm_);
  }
  HeldComm(const HeldComm&) = delete;
  HeldComm& operator=(const HeldComm&) = delete;
  void Make(const std::string& name, const std::vector<int>& ranks, int rank) {
    comm_ = calls_.NewComm(name, ranks, rank);
  }
  const Comm& operator*() const { return *comm_; }

 private:
  Calls& calls_;
  std::unique_ptr<Comm> comm_;
};

/// An NCCL group, which ends where End is called, or with its owner after an error.
class HeldGroup {
 public:
  explicit HeldGroup(Calls& calls) : calls_(calls) { calls_.GroupStart(); }
  ~HeldGroup() {
    if (!is_open_) return;
    try {
      calls_.GroupEnd();
    } catch (const std::exception&) {  // the error that is on its way says more
    }
  }
  HeldGroup(const HeldGroup&) = delete;
  HeldGroup& operator=(const HeldGroup&) = delete;
  void End() {
    is_open_ = false;
    calls_.GroupEnd();
  }

 private:
  Calls& calls_;
  bool is_open_ = true;
};

/// Events by number, made when first asked for, that go with their owner.
class HeldEvents {
 public:
  explicit HeldEvents(Calls& calls) : calls_(calls) {}
  ~HeldEvents() {
    for (const Event event : events_) calls_.DestroyEvent(event);
  }
  HeldEvents(const HeldEvents&) = delete;
  HeldEvents& operator=(const HeldEvents&) = delete;
  Event At(std::size_t number) {
    while (events_.size() <= number) events_.push_back(calls_.NewEvent());
    return events_[number];
  }

 private:
  Calls& calls_;
  std::vector<Event> events_;
};

}  // namespace isochrone::executor::cuda
