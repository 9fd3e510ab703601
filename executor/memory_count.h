#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "plan/metrics.h"
#include "plan/program.h"

namespace isochrone::executor {

/// What of a rank's memory lives, by kind, under a limit. The memory of a CPU rank and of a GPU count alike.
class MemoryCount {
 public:
  /// limit  bytes that may live at once; 0: no limit
  explicit MemoryCount(double limit) : limit_(limit) {}

  /// Throws Error, naming `what`, where the limit would be passed.
  void Check(std::size_t bytes, const std::string& what) const;
  void Add(plan::BufferKind kind, std::size_t bytes);
  void Remove(plan::BufferKind kind, std::size_t bytes);
  /// The error of a block that found no room: `why` follows what lives.
  [[noreturn]] void Refuse(std::size_t bytes, const std::string& what, const std::string& why) const;

  double Live() const { return live_; }
  double Peak() const { return peak_; }
  /// Bytes by kind at the fullest instant.
  plan::StageMemory AtPeak() const;

 private:
  static constexpr std::size_t kKinds = 6;  // of plan::BufferKind

  double limit_, live_ = 0, peak_ = 0;
  std::array<double, kKinds> by_kind_{}, at_peak_{};
};

}  // namespace isochrone::executor
