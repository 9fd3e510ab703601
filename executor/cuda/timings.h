#pragma once

#include <string>
#include <vector>

#include "executor/cuda/calls.h"
#include "executor/report.h"
#include "plan/plan.h"

namespace isochrone::executor::cuda {

/// When operations ran, by events on their streams.
class Timings {
 public:
  Timings(const plan::Plan& plan, Calls& calls);
  ~Timings();
  Timings(const Timings&) = delete;
  Timings& operator=(const Timings&) = delete;

  /// What an interval was.
  struct What {
    enum class Kind { kOp, kStepOp, kTask, kMessage } kind = Kind::kOp;
    plan::Stream stream = plan::Stream::kCompute;
    plan::Phase phase = plan::Phase::kForward;
    int program = -1, op = -1;  // kOp
    std::string name = {};      // kStepOp
    plan::Task task = {};       // kTask, kMessage
    bool counts = true;         // kOp, kStepOp: false for further launches of the same operation
  };
  void StartStep(Stream compute);
  /// Returns what End is told.
  std::size_t Begin(const What& what, Stream stream);
  void End(std::size_t interval, Stream stream);

  /// Reads the step's events, which must have been synchronised: fills spans and attribution of `record`, whose start
  /// and end are there, and adds to `times` and `names`.
  void Read(int rank, StepRecord& record);
  OpTimes times;
  std::vector<std::string> names;

 private:
  struct Interval {
    What what;
    Event begin, end;
  };

  Calls& calls_;
  Event start_;
  std::vector<Interval> intervals_;
  std::vector<Event> spare_;
};

/// Busy time on one stream, in seconds since the step's start.
struct Busy {
  double begin = 0, end = 0;
  plan::Stream stream = plan::Stream::kCompute;
  bool recompute = false, optimizer = false;
};
/// Every instant of a step of `seconds` is compute where the compute stream is busy, else exposed communication of one
/// kind (tensor, context, expert, data, pipeline, copy, in this order), else bubble. Intervals of one stream do not
/// overlap.
plan::Attribution AttributionOf(const std::vector<Busy>& busy, double seconds);

}  // namespace isochrone::executor::cuda
