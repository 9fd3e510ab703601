#pragma once

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

}  // namespace isochrone::executor::cuda
