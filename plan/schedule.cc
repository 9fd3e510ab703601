#include "plan/schedule.h"

#include <algorithm>

#include "base/error.h"
#include "plan/schedules/family.h"

namespace isochrone::plan {

namespace {

using schedules::Family;

/// In the order of ScheduleKind.
const std::vector<const Family*>& Families() {
  static const std::vector<const Family*> families = {&schedules::kGpipeFamily, &schedules::k1f1bFamily,
                                                      &schedules::kInterleavedFamily};
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

/// Change of the number of live activations of `chunk` when `task` has started (+1) or ended (−1).
template <class Visit>
void VisitActivations(const Schedule& schedule, int rank, Visit visit) {
  for (const Task& task : schedule.order[rank]) {
    switch (task.phase) {
      case Phase::kForward:
        visit(task.chunk, +1);
        break;
      case Phase::kBackward:
      case Phase::kBackwardWeight:
        visit(task.chunk, -1);
        break;
      case Phase::kOverlapped:
        visit(task.chunk, +1);
        visit(task.chunk_b, -1);
        break;
      case Phase::kBackwardInput:
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
    VisitActivations(schedule, rank, [&](int chunk, int change) {
      const int slot = rank * chunks + chunk;
      alive[slot] += change;
      peak[slot] = std::max(peak[slot], alive[slot]);
    });
  }
  return peak;
}

std::vector<int> PeakActivations(const Schedule& schedule) {
  std::vector<int> peak(schedule.placement.ranks, 0);
  for (int rank = 0; rank < schedule.placement.ranks; ++rank) {
    int alive = 0;
    VisitActivations(schedule, rank, [&](int, int change) {
      alive += change;
      peak[rank] = std::max(peak[rank], alive);
    });
  }
  return peak;
}

}  // namespace isochrone::plan
