#include "sim/serving/reserving.h"

namespace isochrone::sim::serving {

ReservingEngine::ReservingEngine(const Work& work) : work_(work), clock_(served_, work.trace) {
  served_.outcomes.resize(work.requests.size());
}

bool ReservingEngine::HasRoom(const Request& r, std::size_t admitted) const {
  const std::int64_t n = running_.Size() + static_cast<std::int64_t>(admitted);
  return n < work_.limits.sequences && reserved_ + Length(r) <= work_.limits.cache_tokens;
}

const Request* ReservingEngine::Arrived() {
  for (; Waiting() && work_.requests[next_].arrival <= clock_.Now(); ++next_) {
    const Request& r = work_.requests[next_];
    if (Fits(r, work_.limits)) return &r;
    served_.outcomes[next_] = {r.arrival, r.arrival, 0, Fate::kTooLong};
  }
  return nullptr;
}

std::int32_t ReservingEngine::Reserve() {
  reserved_ += Length(work_.requests[next_]);
  return static_cast<std::int32_t>(next_++);
}

void ReservingEngine::AnswerFirst(std::int32_t id) {
  const Request& r = Of(id);
  Outcome& outcome = served_.outcomes[static_cast<std::size_t>(id)];
  outcome.first_token = clock_.Now();
  if (r.output > 1) running_.Join(id, r.output - 1, PromptOf(r) + 1);
  else outcome.finish = clock_.Now(), reserved_ -= Length(r);
}

void ReservingEngine::Decode() {
  const auto n = static_cast<double>(running_.Size());
  std::int64_t steps = running_.StepsToNextEnd();
  if (Waiting() && HasRoom(work_.requests[next_], 0)) {
    const double wait = work_.requests[next_].arrival - clock_.Now();
    if (work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)) > wait)
      steps = StepsLasting(work_.cost, n, running_.Cached(), wait);
  }
  clock_.Spend(work_.cost.DecodeRun(n, running_.Cached(), static_cast<double>(steps)), Phase::kDecode, steps, n);
  running_.Advance(steps);
  Release();
}

void ReservingEngine::DecodeBesidePrompts() {
  running_.Advance(1);
  Release();
}

Served ReservingEngine::Result() {
  served_.end = clock_.Now();
  return std::move(served_);
}

void ReservingEngine::Release() {
  running_.TakeEnded([&](std::int32_t id) {
    const Request& r = Of(id);
    served_.outcomes[static_cast<std::size_t>(id)].finish = clock_.Now();
    reserved_ -= Length(r);
    return Length(r);
  });
}

}  // namespace isochrone::sim::serving
