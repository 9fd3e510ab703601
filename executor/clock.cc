#include "executor/clock.h"

#include <time.h>

#include <algorithm>

namespace isochrone::executor {
namespace {

double Read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

const std::vector<std::string>& ClockNames() {
  static const std::vector<std::string> names = {"virtual", "wall"};
  return names;
}

Clock::Clock(ClockKind kind)
    : kind_(kind), mark_(Read(kind == ClockKind::kVirtual ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC)) {}

double Clock::Now() {
  if (kind_ == ClockKind::kWall) return now_ = Read(CLOCK_MONOTONIC) - mark_;
  const double cpu = Read(CLOCK_THREAD_CPUTIME_ID);
  now_ += cpu - mark_;
  mark_ = cpu;
  return now_;
}

void Clock::Skip() {
  if (kind_ == ClockKind::kVirtual) mark_ = Read(CLOCK_THREAD_CPUTIME_ID);
}

void Clock::AdvanceTo(double time) {
  if (kind_ == ClockKind::kVirtual) now_ = std::max(now_, time);
}

}  // namespace isochrone::executor
