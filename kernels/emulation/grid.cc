#include "kernels/emulation/grid.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/emulation/fiber_switch.h"

namespace isochrone::kernels::emulation {
namespace {

namespace context = boost::context;

constexpr std::size_t kStackBytes = 256 << 10;
constexpr unsigned kLanes = 32;

enum class State { kReady, kBarrier, kExchange, kEnded };

struct Thread {
  context::fiber fiber, scheduler;
  FiberSwitch switches;
  State state = State::kEnded;
  dim3 index;
  Site site;
  std::uint32_t mask = 0;
  std::uint64_t given = 0, received = 0;
  int source = 0;  // kVote: the lanes of the mask vote
};
constexpr int kVote = -1;

bool SameSite(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

std::string NameOf(const Site& site) {
  const std::string_view path = site.file_name();
  return std::string(path.substr(path.rfind('/') + 1)) + ":" + std::to_string(site.line());
}

/// Dynamic shared memory: ends where a page begins that faults.
class GuardedMemory {
 public:
  GuardedMemory() = default;
  ~GuardedMemory() { Release(); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  void Resize(std::size_t bytes) {
    if (bytes == bytes_ && base_ != nullptr) return;
    Release();
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t usable = (bytes + page - 1) / page * page;
    total_ = usable + page;
    base_ = mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ISO_CHECK(base_ != MAP_FAILED);
    ISO_CHECK(mprotect(static_cast<char*>(base_) + usable, page, PROT_NONE) == 0);
    data_ = static_cast<char*>(base_) + (usable - (bytes + 15) / 16 * 16);
    bytes_ = bytes;
  }
  void Poison() const { std::fill_n(data_, bytes_, static_cast<char>(0xff)); }
  void* Data() const { return data_; }

 private:
  void Release() {
    if (base_ != nullptr) munmap(base_, total_);
    base_ = nullptr;
  }
  void* base_ = nullptr;
  char* data_ = nullptr;
  std::size_t bytes_ = 0, total_ = 0;
};

/// The threads of one block at a time. Fibers outlive blocks and launches: each waits for the next body.
class Block {
 public:
  void Launch(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body) {
    ISO_CHECK_NOTE(running_ == nullptr, "a kernel launches a kernel");
    const unsigned count = block.x * block.y * block.z;
    if (count == 0 || count > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
      throw Error("a kernel", "has a grid or block that no GPU runs",
                  "1 to 1024 threads, 1 to 65535 blocks in y and z");
    }
    shared_.Resize(shared_bytes);
    body_ = &body;
    gridDim = grid;
    blockDim = block;
    Grow(count);
    std::mt19937 shuffle(count);
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) RunBlock(dim3(x, y, z), count, shuffle);
  }

  void Wait(State state, const Site& site) {
    Thread& self = *running_;
    self.state = state;
    self.site = site;
    self.switches.LeaveThread();
    self.scheduler = std::move(self.scheduler).resume();
    self.switches.EnterThread();
  }
  Thread& Running() { return *running_; }
  void* SharedData() const { return shared_.Data(); }
  Order order = Order::kAscending;

 private:
  void Grow(unsigned count) {
    while (threads_.size() < count) {
      threads_.push_back(std::make_unique<Thread>());
      Thread& t = *threads_.back();
      context::protected_fixedsize_stack maker(kStackBytes);
      const context::stack_context stack = maker.allocate();
      t.switches.Create(static_cast<char*>(stack.sp) - stack.size, stack.size);
      t.fiber =
          context::fiber(std::allocator_arg, context::preallocated(stack.sp, stack.size, stack), maker,
                         [this, &t](context::fiber&& scheduler) { return ServeForever(t, std::move(scheduler)); });
    }
  }

  context::fiber ServeForever(Thread& t, context::fiber&& scheduler) {
    t.switches.EnterThread();
    t.scheduler = std::move(scheduler);
    while (true) {
      RunBody();
      Wait(State::kEnded, Site());
    }
  }

  void RunBody() {
    try {
      (*body_)();
    } catch (const context::detail::forced_unwind&) {
      throw;
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  void Resume(Thread& t) {
    running_ = &t;
    threadIdx = t.index;
    t.switches.LeaveScheduler();
    t.fiber = std::move(t.fiber).resume();
    t.switches.EnterScheduler();
    running_ = nullptr;
    if (failure_) Abandon();
  }

  /// Unwinds all threads, then rethrows.
  void Abandon() {
    const std::exception_ptr failure = failure_;
    failure_ = nullptr;
    threads_.clear();
    std::rethrow_exception(failure);
  }
  void Stop(const std::string& what) {
    failure_ = std::make_exception_ptr(Error("block " + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) +
                                                 "," + std::to_string(blockIdx.z) + " of a kernel",
                                             what, "let all threads reach the same line"));
    Abandon();
  }

  void RunBlock(dim3 at, unsigned count, std::mt19937& shuffle) {
    blockIdx = at;
    ++block_number;
    shared_.Poison();
    std::vector<unsigned> turn(count);
    std::iota(turn.begin(), turn.end(), 0u);
    if (order == Order::kDescending) std::reverse(turn.begin(), turn.end());
    if (order == Order::kShuffled) std::shuffle(turn.begin(), turn.end(), shuffle);
    for (unsigned i = 0; i < count; ++i) {
      Thread& t = *threads_[i];
      t.state = State::kReady;
      t.index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
    }
    while (true) {
      for (const unsigned i : turn)
        if (threads_[i]->state == State::kReady) Resume(*threads_[i]);
      bool moved = false;
      for (unsigned first = 0; first < count; first += kLanes)
        moved |= ResolveWarp(first, std::min(count, first + kLanes));
      if (moved) continue;
      if (std::all_of(threads_.begin(), threads_.begin() + count, [](auto& t) { return t->state == State::kEnded; }))
        return;
      ReleaseBarrier(count);
    }
  }

  /// Lets go the lanes that have all met. Returns whether any did.
  bool ResolveWarp(unsigned first, unsigned last) {
    bool moved = false;
    for (unsigned i = first; i < last; ++i) {
      const Thread& one = *threads_[i];
      if (one.state != State::kExchange) continue;
      const std::uint32_t mask = one.mask;
      const Site site = one.site;
      bool complete = true;
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        if ((mask >> lane & 1u) == 0) continue;
        complete = complete && first + lane < last && threads_[first + lane]->state == State::kExchange &&
                   threads_[first + lane]->mask == mask && SameSite(threads_[first + lane]->site, site);
      }
      if (!complete) continue;
      Trade(first, mask);
      moved = true;
    }
    return moved;
  }

  void Trade(unsigned first, std::uint32_t mask) {
    std::uint32_t votes = 0;
    const auto in_mask = [&](int lane) { return lane >= 0 && lane < 32 && (mask >> lane & 1u) != 0; };
    for (int lane = 0; lane < 32; ++lane)
      if (in_mask(lane) && threads_[first + lane]->given != 0) votes |= 1u << lane;
    for (int lane = 0; lane < 32; ++lane) {
      if (!in_mask(lane)) continue;
      Thread& t = *threads_[first + lane];
      if (t.source != kVote && !in_mask(t.source))
        Stop("lane " + std::to_string(lane) + " reads lane " + std::to_string(t.source) +
             ", which is not in its mask, at " + NameOf(t.site));
      t.received = t.source == kVote ? votes : threads_[first + t.source]->given;
    }
    for (int lane = 0; lane < 32; ++lane)
      if (in_mask(lane)) threads_[first + lane]->state = State::kReady;
  }

  void ReleaseBarrier(unsigned count) {
    const Thread& zero = *threads_[0];
    for (unsigned i = 0; i < count; ++i) {
      const Thread& t = *threads_[i];
      if (t.state == State::kBarrier && zero.state == State::kBarrier && SameSite(t.site, zero.site)) continue;
      Stop("threads diverge: thread 0 " + Standing(zero) + ", thread " + std::to_string(i) + " " + Standing(t));
    }
    for (unsigned i = 0; i < count; ++i) threads_[i]->state = State::kReady;
  }

  static std::string Standing(const Thread& t) {
    if (t.state == State::kEnded) return "has ended";
    return (t.state == State::kBarrier ? "waits at the barrier " : "waits for lanes of its mask at ") + NameOf(t.site);
  }

  std::vector<std::unique_ptr<Thread>> threads_;
  GuardedMemory shared_;
  const std::function<void()>* body_ = nullptr;
  Thread* running_ = nullptr;
  std::exception_ptr failure_;
};

Block& TheBlock() {
  static thread_local Block block;
  return block;
}

}  // namespace

void SetOrder(Order order) { TheBlock().order = order; }

void Launch(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body) {
  TheBlock().Launch(grid, block, shared_bytes, body);
}

void Barrier(const Site& site) { TheBlock().Wait(State::kBarrier, site); }

std::uint64_t Exchange(std::uint32_t mask, std::uint64_t value, int source, const Site& site) {
  Thread& self = TheBlock().Running();
  if ((mask >> (threadIdx.x % kLanes) & 1u) == 0) Fault("a lane calls with a mask that leaves it out", site);
  self.mask = mask;
  self.given = value;
  self.source = source;
  TheBlock().Wait(State::kExchange, site);
  return self.received;
}

std::uint32_t Vote(std::uint32_t mask, bool yes, const Site& site) {
  return static_cast<std::uint32_t>(Exchange(mask, yes ? 1 : 0, kVote, site));
}

void* DynamicShared() { return TheBlock().SharedData(); }

void Fault(const char* what, const Site& site) {
  throw Error("block " + std::to_string(blockIdx.x) + ", thread " + std::to_string(threadIdx.x) + " of a kernel", what,
              "see " + NameOf(site));
}

}  // namespace isochrone::kernels::emulation
