#include "executor/cuda/queues.h"

#include <algorithm>

namespace isochrone::executor::cuda {
namespace {

constexpr std::size_t kKeptMarks = 32;

std::size_t At(int queue) { return static_cast<std::size_t>(queue); }

}  // namespace

Queues::Queues(Calls& calls) : calls_(calls) {
  for (int q = 0; q < plan::kStreams; ++q) {
    const auto stream = static_cast<plan::Stream>(q);
    // What others wait for goes first where both could run.
    const bool urgent = stream != plan::Stream::kCompute && stream != plan::Stream::kCopy;
    try {
      streams_[At(q)] = calls_.NewStream(urgent);
    } catch (...) {  // no destructor will run
      for (int made = 0; made < q; ++made) calls_.DestroyStream(streams_[At(made)]);
      throw;
    }
  }
}

Queues::~Queues() {
  for (auto& marks : marks_)
    for (const Mark& m : marks) spare_.push_back(m.event);
  for (const Event e : spare_) calls_.DestroyEvent(e);
  for (const Stream s : streams_) calls_.DestroyStream(s);
}

void Queues::Before(plan::Stream stream, const Uses& uses, bool writes) {
  const int queue = static_cast<int>(stream);
  WaitFor(queue, uses.written);
  for (int other = 0; writes && other < plan::kStreams; ++other) WaitFor(queue, {other, uses.read[At(other)]});
}

void Queues::Follow(plan::Stream stream, plan::Stream other) {
  const int before = static_cast<int>(other);
  WaitFor(static_cast<int>(stream), {before, launched_[At(before)]});
}

Ticket Queues::Launched(plan::Stream stream) {
  const int queue = static_cast<int>(stream);
  const Ticket ticket{queue, ++launched_[At(queue)]};
  if (stream != plan::Stream::kCompute) Record(queue);
  return ticket;
}

void Queues::Note(Uses& uses, const Ticket& ticket, bool writes) const {
  if (writes) uses = {.written = ticket, .read = {}};
  else uses.read[At(ticket.queue)] = ticket.number;
}

void Queues::Synchronize() {
  for (int q = 0; q < plan::kStreams; ++q) {
    if (launched_[At(q)] > 0) calls_.Synchronize(MarkAt(q, launched_[At(q)]).event);
  }
}

void Queues::WaitFor(int queue, const Ticket& ticket) {
  if (ticket.queue == queue || ticket.number <= waited_[At(queue)][At(ticket.queue)]) return;
  const Mark& mark = MarkAt(ticket.queue, ticket.number);
  calls_.Wait(streams_[At(queue)], mark.event);
  waited_[At(queue)][At(ticket.queue)] = mark.number;
}

/// The first mark at or behind an operation.
const Queues::Mark& Queues::MarkAt(int queue, std::uint64_t number) {
  std::deque<Mark>& marks = marks_[At(queue)];
  if (marks.empty() || marks.back().number < number) Record(queue);
  return *std::lower_bound(marks.begin(), marks.end(), number,
                           [](const Mark& m, std::uint64_t n) { return m.number < n; });
}

/// Behind all that was launched on the queue. A wait takes what an event says when it is issued, so an old event may be
/// recorded anew at once.
void Queues::Record(int queue) {
  std::deque<Mark>& marks = marks_[At(queue)];
  if (!marks.empty() && marks.back().number == launched_[At(queue)]) return;
  if (marks.size() == kKeptMarks) {
    spare_.push_back(marks.front().event);
    marks.pop_front();
  }
  if (spare_.empty()) spare_.push_back(calls_.NewEvent());
  marks.push_back({launched_[At(queue)], spare_.back()});
  spare_.pop_back();
  calls_.Record(marks.back().event, streams_[At(queue)]);
}

}  // namespace isochrone::executor::cuda
