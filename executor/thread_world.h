#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "executor/clock.h"
#include "executor/communicator.h"

namespace isochrone::executor {

/// Thrown in every other rank once one has failed, or the user has stopped the run.
class Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("stopped") {}
};

/// What the ranks of one process share: who waits for whom, the processor of virtual time, and the first failure.
class ThreadWorld {
 public:
  struct Options {
    ClockKind clock = ClockKind::kVirtual;
    double timeout_s = 30;                           // without any progress
    const std::atomic<bool>* interrupted = nullptr;  // set by a signal handler
  };
  explicit ThreadWorld(const Options& options) : options_(options) {}

  /// The first failure is kept; all waits end.
  void Fail(const std::string& where, const std::string& fault, const std::string& instead);
  /// Throws what Fail was given; nothing if all went well or the user has stopped the run.
  void Rethrow() const;
  bool Failed() const { return failed_.load(std::memory_order_acquire); }
  /// Something moved: an op ended.
  void Progress() { progress_.fetch_add(1, std::memory_order_relaxed); }
  /// Throws Stopped where the run must end: a rank has failed, or the user has stopped it.
  void Check();

  /// The communicator of one rank, which uses the rank's clock. Made before the ranks start.
  template <class T>
  std::unique_ptr<Communicator<T>> Join(int rank, Clock& clock);

 private:
  template <class T>
  friend class ThreadCommunicator;

  /// Members of one team meet here; the last to come lets all go on.
  struct Meeting {
    std::mutex mutex;
    std::condition_variable condition;
    int arrived = 0;
    std::atomic<std::uint64_t> round{0};
    std::vector<const void*> shown;
    std::vector<double> time;
    double latest = 0;
  };
  struct Letter {
    std::vector<std::byte> data;
    double time = 0;
  };
  struct Mailbox {  // of one (from, to)
    std::mutex mutex;
    std::condition_variable condition;
    std::map<Tag, Letter> letters;
    std::vector<std::vector<std::byte>> spare;  // of letters that were read
    std::vector<std::byte> Spare(std::size_t bytes);
  };

  Meeting& MeetingOf(const std::vector<int>& ranks);
  Mailbox& MailboxOf(int from, int to);

  Options options_;
  std::mutex processor_;         // held by the rank that computes, in virtual time
  std::atomic<int> working_{0};  // ranks that hold it or wait for it
  mutable std::mutex mutex_;
  std::map<std::vector<int>, std::unique_ptr<Meeting>> meetings_;
  std::map<std::pair<int, int>, std::unique_ptr<Mailbox>> mailboxes_;
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> progress_{0};
  std::string where_, fault_, instead_;
};

}  // namespace isochrone::executor
