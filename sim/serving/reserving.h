#pragma once

#include "sim/serving/running_set.h"
#include "sim/serving/schedulers.h"

namespace isochrone::sim::serving {

/// What engines share that reserve a sequence's whole length in the cache, prompt and answer, when they admit it: such
/// a sequence is never preempted. A scheduler adds when prompts are computed.
class ReservingEngine {
 protected:
  explicit ReservingEngine(const Work& work);

  const Request& Of(std::int32_t id) const { return work_.requests[static_cast<std::size_t>(id)]; }
  bool Waiting() const { return next_ < work_.requests.size(); }

  /// Is there room for `r` beside the running sequences and `admitted` ones that do not run yet?
  bool HasRoom(const Request& r, std::size_t admitted) const;
  /// The next request that has arrived and may ever fit, or null; those that never fit are turned away.
  const Request* Arrived();
  /// Nothing to do until the next request arrives, if there is one.
  void WaitForNext() {
    if (Waiting()) clock_.WaitUntil(work_.requests[next_].arrival);
  }
  /// Admits what Arrived returned.
  std::int32_t Reserve();

  /// The prompt of `id` is whole: its first token is out, and it decodes on or has ended.
  void AnswerFirst(std::int32_t id);
  /// Decodes until a sequence ends or the next request that finds room has arrived. No prompt may be under way.
  void Decode();
  /// One step of decoding that shared a step with prompts.
  void DecodeBesidePrompts();
  Served Result();

  const Work& work_;
  Served served_;
  Clock clock_;
  RunningSet running_;

 private:
  static double Length(const Request& r) { return static_cast<double>(PromptOf(r)) + r.output; }
  void Release();

  std::size_t next_ = 0;  // request
  double reserved_ = 0;   // tokens of the cache
};

}  // namespace isochrone::sim::serving
