#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isochrone::executor {

/// kVirtual: ranks compute one at a time, and what advances a rank's clock is the CPU time of its own thread; waiting
/// costs nothing by itself, but a message or a collective carries the clocks of the others. Contention between ranks is
/// absent. kWall: the time of day, for ranks that each have a core.
enum class ClockKind : std::uint8_t { kVirtual, kWall };
const std::vector<std::string>& ClockNames();

/// One rank's time in seconds. Used by the rank's own thread only.
class Clock {
 public:
  /// time  what a wall clock shows, in seconds; null: the time of day. A simulated cluster has its own.
  explicit Clock(ClockKind kind, double (*time)() = nullptr);

  ClockKind Kind() const { return kind_; }
  /// Time now. In virtual time, work done by this thread since the last call counts.
  double Now();
  /// Forgets the thread's work since the last Now: it was spent waiting.
  void Skip();
  /// Not before `time`: what was waited for happened then. Wall clocks pass by themselves.
  void AdvanceTo(double time);

 private:
  double Read() const;

  ClockKind kind_;
  double (*time_)();
  double now_ = 0, mark_ = 0;
};

}  // namespace isochrone::executor
