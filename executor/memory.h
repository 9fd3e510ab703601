#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "executor/memory_count.h"
#include "plan/metrics.h"
#include "plan/program.h"

namespace isochrone::executor {

/// One rank's memory: every block is counted by kind while it lives. Freed blocks are kept for the next of the same
/// size, so that a step does not pay for fresh pages again, but never more of them than leaves the rank within the most
/// that has lived at once: what it holds of the heap is what it counts. Used by the rank's own thread; blocks that
/// travel to another rank are copied there.
class Memory {
 public:
  /// limit  bytes that may live at once; 0: no limit
  explicit Memory(double limit = 0) : count_(limit) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  class Block {
   public:
    Block(Memory& owner, plan::BufferKind kind, std::size_t bytes, void* data)
        : owner_(owner), kind_(kind), bytes_(bytes), data_(data) {}
    ~Block() { owner_.Free(*this); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    template <class T>
    T* As() const {
      return static_cast<T*>(data_);
    }
    std::size_t Size() const { return bytes_; }

   private:
    friend class Memory;
    Memory& owner_;
    plan::BufferKind kind_;
    std::size_t bytes_;
    void* data_;
  };
  using Handle = std::shared_ptr<Block>;

  /// Not initialised, aligned to 64 bytes. `what` names it should the limit be passed.
  /// Throws Error where the limit would be passed.
  Handle Allocate(plan::BufferKind kind, std::size_t bytes, const std::string& what);

  double Live() const { return count_.Live(); }
  double Peak() const { return count_.Peak(); }
  /// Bytes by kind at the fullest instant.
  plan::StageMemory AtPeak() const { return count_.AtPeak(); }

 private:
  void Free(Block& block);
  /// Gives spare blocks back, largest first, until `size` more bytes fit beside what is held.
  void MakeRoom(double size);

  MemoryCount count_;
  double spare_bytes_ = 0;
  std::map<std::size_t, std::vector<void*>> spare_;
};

}  // namespace isochrone::executor
