#include "executor/clock.h"

#include <time.h>

#include <algorithm>

namespace isochrone::executor {
namespace {

double Of(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

const std::vector<std::string>& ClockNames() {
  static const std::vector<std::string> names = {"virtual", "wall"};
  return names;
}

Clock::Clock(ClockKind kind, double (*time)()) : kind_(kind), time_(time), mark_(Read()) {}

double Clock::Read() const {
  if (kind_ == ClockKind::kVirtual) return Of(CLOCK_THREAD_CPUTIME_ID);
  return time_ ? time_() : Of(CLOCK_MONOTONIC);
}

double Clock::Now() {
  const double read = Read();
  if (kind_ == ClockKind::kWall) return now_ = read - mark_;
  now_ += read - mark_;
  mark_ = read;
  return now_;
}

void Clock::Skip() {
  if (kind_ == ClockKind::kVirtual) mark_ = Read();
}

void Clock::AdvanceTo(double time) {
  if (kind_ == ClockKind::kVirtual) now_ = std::max(now_, time);
}

}  // namespace isochrone::executor
