#include "plan/schedule.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace isochrone;
using namespace isochrone::plan;

namespace {

template <class Action>
std::string MessageOf(Action action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

Schedule Built(ScheduleKind kind, int ranks, int chunks, int microbatches) {
  return BuildSchedule({kind, ranks, chunks, microbatches});
}

std::string ValidityOf(const std::string& text) {
  return MessageOf([&] { Validate(ParseSchedule(text, "t")); });
}

}  // namespace

TEST_CASE("GPipe runs every forward pass before the first backward pass", "[schedule]") {
  CHECK(Print(Built(ScheduleKind::kGpipe, 2, 1, 3)) ==
        "schedule gpipe microbatches 3 chunks 1\n"
        "rank 0: F0 F1 F2 B0 B1 B2\n"
        "rank 1: F0 F1 F2 B0 B1 B2\n");
}

TEST_CASE("1F1B fills the pipeline, then alternates", "[schedule]") {
  CHECK(Print(Built(ScheduleKind::k1f1b, 3, 1, 4)) ==
        "schedule 1f1b microbatches 4 chunks 1\n"
        "rank 0: F0 F1 F2 B0 F3 B1 B2 B3\n"
        "rank 1: F0 F1 B0 F2 B1 F3 B2 B3\n"
        "rank 2: F0 B0 F1 B1 F2 B2 F3 B3\n");
}

TEST_CASE("interleaved 1F1B is Megatron's order", "[schedule]") {
  CHECK(Print(Built(ScheduleKind::kInterleaved1f1b, 2, 2, 4)) ==
        "schedule interleaved_1f1b microbatches 4 chunks 2\n"
        "rank 0: F0 F1 F0.1 F1.1 F2 B0.1 F3 B1.1 F2.1 B0 F3.1 B1 B2.1 B3.1 B2 B3\n"
        "rank 1: F0 F1 F0.1 B0.1 F1.1 B1.1 F2 B0 F3 B1 F2.1 B2.1 F3.1 B3.1 B2 B3\n");
}

TEST_CASE("a schedule's text reads back as the same schedule", "[schedule]") {
  for (const auto& shape : {ScheduleShape{ScheduleKind::kGpipe, 3, 1, 5}, ScheduleShape{ScheduleKind::k1f1b, 4, 1, 2},
                            ScheduleShape{ScheduleKind::kInterleaved1f1b, 4, 3, 10}}) {
    const Schedule schedule = BuildSchedule(shape);
    CHECK(ParseSchedule(Print(schedule), "t") == schedule);
  }
}

TEST_CASE("a hand-made order needs no head, and may place its stages", "[schedule]") {
  const std::string text =
      "# a V of two ranks\n"
      "rank 0 stages 0 3: F0 F0.1 I0.1 W0.1 I0 W0\n"
      "rank 1 stages 1 2: F0 F0.1 B0.1 B0\n";
  const Schedule schedule = ParseSchedule(text, "t");
  Validate(schedule);
  CHECK(schedule.kind == ScheduleKind::kText);
  CHECK(schedule.microbatches == 1);
  CHECK(schedule.placement.RankOf(0, 3) == 0);
  CHECK(schedule.placement.ChunkOf(0, 3) == 1);
  CHECK(Print(schedule) ==
        "schedule text microbatches 1 chunks 2\n"
        "rank 0 stages 0 3: F0 F0.1 I0.1 W0.1 I0 W0\n"
        "rank 1 stages 1 2: F0 F0.1 B0.1 B0\n");
}

TEST_CASE("two directions and overlapped pairs have a text form", "[schedule]") {
  const std::string text =
      "schedule text microbatches 2 chunks 2\n"
      "rank 0 stages 0 1': F0 F1.1 B1.1 B0\n"
      "rank 1 stages 1 0': F1.1 F0 B0 B1.1\n";
  CHECK(Print(ParseSchedule(text, "t")) == text);
  Validate(ParseSchedule(text, "t"));
  CHECK(Print(ParseSchedule("rank 0: F0 F1&B0 B1", "t").order[0][1]) == "F1&B0");
}

TEST_CASE("a circle of waits is told rank by rank", "[schedule]") {
  CHECK(ValidityOf("rank 0: F0 B0 F1 B1\nrank 1: F0 F1 B0 B1\n") ==
        "schedule text: rank 0\n"
        "  no rank can move\n"
        "  rank 0 waits at B0 for B0 of rank 1\n"
        "  rank 1 waits at F1 for F1 of rank 0\n"
        "  move one of these passes to an earlier place in its rank's order");
  CHECK(ValidityOf("rank 0: B0 F0\n") ==
        "schedule text: rank 0\n"
        "  no rank can move\n"
        "  rank 0 waits at B0 for F0 of rank 0\n"
        "  move one of these passes to an earlier place in its rank's order");
}

TEST_CASE("each pass runs once", "[schedule]") {
  CHECK(ValidityOf("rank 0: F0 F0 B0\n") ==
        "schedule text: rank 0, F0\n  runs the same pass a second time\n  run each pass once");
  CHECK(ValidityOf("rank 0: F0 B0 W0\n") ==
        "schedule text: rank 0, W0\n  runs the same pass a second time\n  run each pass once");
  CHECK(ValidityOf("rank 0: F0 I0\n") ==
        "schedule text: rank 0, microbatch 0, chunk 0\n"
        "  lacks the weight half of the backward pass (W)\n"
        "  run F, and B or both I and W, once each");
  CHECK(ValidityOf("schedule text microbatches 2\nrank 0: F0 B0\n") ==
        "schedule text: microbatch 1\n  is run by no rank\n  run it once, in one direction");
  CHECK(ValidityOf("schedule text microbatches 1\nrank 0: F0 B0 F1 B1\n") ==
        "schedule text: rank 0, F1\n  is outside the schedule\n"
        "  it has 1 chunks a rank and 1 microbatches, counted from 0");
}

TEST_CASE("messages of a pair of ranks match in order", "[schedule]") {
  CHECK(ValidityOf("rank 0: F0 F1 B0 B1\nrank 1: F1 B1 F0 B0\n") ==
        "schedule text: messages from rank 0 to rank 1\n"
        "  activations of microbatch 0 for chunk 0 are sent where those of microbatch 1 for chunk 0 are received\n"
        "  run both ranks' passes in the same order; messages carry no tags");
}

TEST_CASE("text that is no schedule is refused at its line", "[schedule]") {
  const auto parse = [](const char* text) { return MessageOf([&] { ParseSchedule(text, "s.txt"); }); };
  CHECK(parse("") == "s.txt\n  has no rank\n  write \"rank 0: F0 B0 …\", one line a rank");
  CHECK(parse("rank 0: F0\nrank 2: F0\n") == "s.txt: line 2\n  is rank 2\n  give the ranks in order; this is rank 1");
  CHECK(parse("rank 0: F0 X1\n") ==
        "s.txt: line 1\n  has the task \"X1\"\n"
        "  write F, B, I, W or R, the microbatch, and .chunk where it is not 0: F3, B0.1, F4&B2.1");
  CHECK(parse("rank 0: F99999999999\n") ==
        "s.txt: line 1\n  has \"99999999999\" where a number should be\n  give a whole number from 0 to 16777215");
  CHECK(parse("rank 0 stages 0 0: F0\n") == "s.txt\n  places stage 0 twice\n  place each stage once");
  CHECK(parse("rank 0 stages 0 2: F0\n") ==
        "s.txt\n  leaves a stage without a place\n  place each stage once, in each direction");
  CHECK(parse("rank 0 stages 0 1: F0 F0.1\nrank 1 stages 2: F0\n") ==
        "s.txt\n  gives a rank another number of stages than it has chunks\n  give each chunk its stage");
  CHECK(parse("schedule bogus\nrank 0: F0\n") ==
        "s.txt: line 1\n  names the schedule \"bogus\"\n  take \"text\" for an order of your own");
}

TEST_CASE("an impossible shape is refused with the nearest legal one", "[schedule]") {
  const auto build = [](ScheduleKind kind, int ranks, int chunks, int microbatches) {
    return MessageOf([&] { Built(kind, ranks, chunks, microbatches); });
  };
  CHECK(build(ScheduleKind::k1f1b, 4, 2, 8) ==
        "schedule 1f1b: 4 ranks, 2 chunks a rank, 8 microbatches\n  has 2 chunks a rank\n"
        "  give 1 chunk a rank, or take interleaved_1f1b");
  CHECK(build(ScheduleKind::kInterleaved1f1b, 4, 1, 8) ==
        "schedule interleaved_1f1b: 4 ranks, 1 chunk a rank, 8 microbatches\n  needs at least 2 chunks a rank\n"
        "  give 2 chunks a rank, or take 1f1b");
  CHECK(build(ScheduleKind::kGpipe, 0, 1, 1) ==
        "schedule gpipe: 0 ranks, 1 chunk a rank, 1 microbatch\n  has a count below 1\n  give 1 or more of each");
  CHECK(build(ScheduleKind::k1f1b, 1000, 1, 1000000) ==
        "schedule 1f1b: 1000 ranks, 1 chunk a rank, 1000000 microbatches\n  has more than 67108864 tasks\n"
        "  take a larger microbatch");
}
