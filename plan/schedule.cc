#include "plan/schedule.h"

#include <algorithm>

#include "base/error.h"
#include "plan/schedules/family.h"

namespace isochrone::plan {

namespace {

using schedules::Family;

/// In the order of ScheduleKind.
const std::vector<const Family*>& Families() {
  static const std::vector<const Family*> families = {
      &schedules::kGpipeFamily,     &schedules::k1f1bFamily,     &schedules::kInterleavedFamily,
      &schedules::kZbH1Family,      &schedules::kZbH2Family,     &schedules::kZbVFamily,
      &schedules::kVHalfFamily,     &schedules::kVMinFamily,     &schedules::kDualPipeFamily,
      &schedules::kDualPipeVFamily, &schedules::kZbAuto1pFamily, &schedules::kZbAuto2pFamily};
  return families;
}

constexpr std::int64_t kMaxTasks = std::int64_t{1} << 26;  // 1 GiB of orders

const Family& Checked(const ScheduleShape& shape) {
  const auto kind = static_cast<std::size_t>(shape.kind);
  if (kind >= Families().size())
    schedules::Refuse(shape, "is given as text, not built from a shape", "read it with its file");
  const std::int64_t slots = std::int64_t{shape.ranks} * shape.chunks;
  if (shape.ranks < 1 || shape.chunks < 1 || shape.microbatches < 1)
    schedules::Refuse(shape, "has a count below 1", "give 1 or more of each");
  if (shape.ranks > 16384 || shape.chunks > 255 || slots > 32767)
    schedules::Refuse(shape, "has too many stages", "at most 16384 ranks, 255 chunks a rank and 32767 stages");
  if (3 * slots * shape.microbatches > kMaxTasks)
    schedules::Refuse(shape, "has more than " + std::to_string(kMaxTasks) + " tasks", "take a larger microbatch");
  Families()[kind]->check(shape);
  return *Families()[kind];
}

/// Calls visit(chunk, change) for every change of the rank's live activations, in order.
template <class Visit>
void VisitActivations(const Schedule& schedule, int rank, double weight_share, Visit visit) {
  for (const Task& task : schedule.order[rank]) {
    switch (task.phase) {
      case Phase::kForward:
        visit(task.chunk, 1.0);
        break;
      case Phase::kBackward:
        visit(task.chunk, -1.0);
        break;
      case Phase::kBackwardInput:
        visit(task.chunk, weight_share - 1);
        break;
      case Phase::kBackwardWeight:
        visit(task.chunk, -weight_share);
        break;
      case Phase::kOverlapped:
        visit(task.chunk, 1.0);
        visit(task.chunk_b, -1.0);
        break;
      case Phase::kRecompute:
        break;
    }
  }
}

}  // namespace

const std::vector<std::string>& ScheduleNames() {
  static const std::vector<std::string> names = {"gpipe",  "1f1b",  "interleaved_1f1b", "zb_h1",      "zb_h2", "zb_v",
                                                 "v_half", "v_min", "dualpipe",         "dualpipe_v", "zb_1p", "zb_2p",
                                                 "text"};
  return names;
}

const std::string& NameOf(ScheduleKind kind) { return ScheduleNames().at(static_cast<std::size_t>(kind)); }

void CheckShape(const ScheduleShape& shape) { Checked(shape); }

Schedule BuildSchedule(const ScheduleShape& shape, const StageCosts& costs) {
  return Checked(shape).build(shape, costs);
}

ScheduleTheory TheoryOf(const ScheduleShape& shape, const StageCosts& costs) {
  return Checked(shape).theory(shape, costs);
}

std::vector<int> PeakInFlight(const Schedule& schedule) {
  const int chunks = schedule.placement.chunks;
  std::vector<int> peak(schedule.placement.ranks * chunks, 0), alive(peak.size(), 0);
  for (int rank = 0; rank < schedule.placement.ranks; ++rank) {
    VisitActivations(schedule, rank, 1, [&](int chunk, double change) {
      const int slot = rank * chunks + chunk;
      alive[slot] += static_cast<int>(change);
      peak[slot] = std::max(peak[slot], alive[slot]);
    });
  }
  return peak;
}

std::vector<double> PeakActivations(const Schedule& schedule, double weight_share) {
  std::vector<double> peak(schedule.placement.ranks, 0);
  for (int rank = 0; rank < schedule.placement.ranks; ++rank) {
    double alive = 0;
    VisitActivations(schedule, rank, weight_share, [&](int, double change) {
      alive += change;
      peak[rank] = std::max(peak[rank], alive);
    });
  }
  return peak;
}

}  // namespace isochrone::plan
