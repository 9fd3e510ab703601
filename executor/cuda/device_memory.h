#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "executor/cuda/queues.h"
#include "executor/memory_count.h"
#include "plan/metrics.h"
#include "plan/program.h"

namespace isochrone::executor::cuda {

/// One rank's device memory: every block is counted by kind while it lives. Freed blocks are kept for the next of the
/// same size and remember who used them last, so that a new owner on another stream waits and nobody else does.
class DeviceMemory {
 public:
  /// limit  bytes that may live at once; 0: what the device has
  DeviceMemory(Calls& calls, double limit) : calls_(calls), count_(limit) {}
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  class Block {
   public:
    Block(DeviceMemory& owner, plan::BufferKind kind, std::size_t bytes, std::size_t held, void* data,
          const Uses& uses_)
        : uses(uses_), owner_(owner), kind_(kind), bytes_(bytes), held_(held), data_(data) {}
    ~Block() { owner_.Return(*this); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    template <class T>
    T* As() const {
      return static_cast<T*>(data_);
    }
    std::size_t Bytes() const { return bytes_; }

    Uses uses;

   private:
    friend class DeviceMemory;
    DeviceMemory& owner_;
    plan::BufferKind kind_;
    std::size_t bytes_, held_;
    void* data_;
  };
  using Handle = std::shared_ptr<Block>;

  /// Not initialised, aligned to 256 bytes. `what` names it where there is no room.
  /// Throws Error where the limit or the device is full.
  Handle Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what);

  /// Bytes by kind at the fullest instant.
  plan::StageMemory AtPeak() const { return count_.AtPeak(); }

 private:
  struct Spare {
    void* data;
    Uses uses;
  };
  void Return(const Block& block);
  void ReleaseSpare();

  Calls& calls_;
  MemoryCount count_;
  std::map<std::size_t, std::vector<Spare>> spare_;
};

}  // namespace isochrone::executor::cuda
