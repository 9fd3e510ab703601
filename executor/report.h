#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan/metrics.h"
#include "plan/program.h"
#include "plan/timeline.h"

namespace isochrone::executor {

/// Seconds of each op, summed over the times that it ran: [program][phase][op].
struct OpTimes {
  std::vector<std::array<std::vector<double>, plan::kPhases>> seconds, count;
  std::map<std::string, std::pair<double, double>> step_ops;  // prologue, epilogue, side: seconds, count
};

/// What one rank saw in one step.
struct StepRecord {
  double start = 0, end = 0;
  double loss = 0;  // this rank's part of the mean over the batch
  double gradient_norm = 0;
  plan::Attribution attribution;
  std::vector<plan::Span> spans;
};

/// Elements of a full tensor that one rank holds.
struct HeldTensor {
  std::string key;
  double elements = 0;  // of the full tensor
  std::vector<double> value_at, value, gradient_at, gradient;
};

/// What one rank brings home from a run.
struct RankReport {
  std::vector<StepRecord> records;
  OpTimes times;
  plan::StageMemory memory;         // at its fullest instant
  std::vector<std::string> names;   // of spans
  bool adds_loss = false;           // one rank of each tensor group does
  std::vector<HeldTensor> tensors;  // with RunOptions::keep_tensors
};

/// The report as bytes, for a process on a machine of the same kind, and back.
std::vector<std::byte> Pack(const RankReport& report);
RankReport Unpack(std::span<const std::byte> bytes);

}  // namespace isochrone::executor
