#include "executor/thread_world.h"

#include <utility>

#include "base/error.h"
#include "executor/thread_communicator.h"

namespace isochrone::executor {

void ThreadWorld::Fail(const std::string& where, const std::string& fault, const std::string& instead) {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  where_ = where;
  fault_ = fault;
  instead_ = instead;
  failed_.store(true, std::memory_order_release);
}

void ThreadWorld::Rethrow() const {
  const std::lock_guard lock(mutex_);
  if (failed_) throw Error(where_, fault_, instead_);
}

void ThreadWorld::Check() {
  const bool interrupted = options_.interrupted != nullptr && options_.interrupted->load(std::memory_order_relaxed);
  if (interrupted || Failed()) throw Stopped();
}

ThreadWorld::Meeting& ThreadWorld::MeetingOf(const std::vector<int>& ranks) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Meeting>& meeting = meetings_[ranks];
  if (!meeting) {
    meeting = std::make_unique<Meeting>();
    meeting->shown.resize(ranks.size());
    meeting->time.resize(ranks.size());
  }
  return *meeting;
}

ThreadWorld::Mailbox& ThreadWorld::MailboxOf(int from, int to) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Mailbox>& box = mailboxes_[{from, to}];
  if (!box) box = std::make_unique<Mailbox>();
  return *box;
}

std::vector<std::byte> ThreadWorld::Mailbox::Spare(std::size_t bytes) {
  std::vector<std::byte> data;
  if (!spare.empty()) {
    data = std::move(spare.back());
    spare.pop_back();
  }
  data.resize(bytes);
  return data;
}

template <class T>
std::unique_ptr<Communicator<T>> ThreadWorld::Join(int rank, Clock& clock) {
  return std::make_unique<ThreadCommunicator<T>>(*this, rank, clock);
}

template std::unique_ptr<Communicator<float>> ThreadWorld::Join<float>(int, Clock&);
template std::unique_ptr<Communicator<double>> ThreadWorld::Join<double>(int, Clock&);

}  // namespace isochrone::executor
