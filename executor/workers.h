#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernels/types.h"

namespace isochrone::executor {

using kernels::Index;

/// The threads of one rank beside its own: they share the rows, columns or elements of an op. Kernels know nothing of
/// them; each is called on a part. Between ops they look for work for a short while, then sleep.
class Workers {
 public:
  /// threads  of the rank, its own included
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int Threads() const { return static_cast<int>(threads_.size()) + 1; }

  /// Calls body(begin, end, part) for equal parts of 0 … n − 1, each on a thread of its own, and returns when all have
  /// ended. Parts hold at least `least` items, but the only one. `body` may not throw.
  template <class Body>
  void Split(Index n, Index least, const Body& body) {
    const int parts = PartsOf(n, least);
    if (parts < 2) return body(Index{0}, n, 0);
    const Job job{
        [](const void* f, Index begin, Index end, int part) { (*static_cast<const Body*>(f))(begin, end, part); },
        &body, n, parts};
    Run(job);
  }
  int PartsOf(Index n, Index least) const;

 private:
  struct Job {
    void (*call)(const void* body, Index begin, Index end, int part) = nullptr;
    const void* body = nullptr;
    Index n = 0;
    int parts = 0;
    void Do(int part) const { call(body, n * part / parts, n * (part + 1) / parts, part); }
  };
  void Run(const Job& job);
  void Work(int part);

  std::vector<std::thread> threads_;
  Job job_;
  std::atomic<std::uint32_t> round_{0};  // of work; the last bit of all tells to end
  std::atomic<int> unfinished_{0};
  std::atomic<bool> ends_{false};
};

}  // namespace isochrone::executor
