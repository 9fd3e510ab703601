#include "plan/draw.h"

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::plan;

namespace {

Terminal Wide(int width) {
  Terminal terminal;
  terminal.width = width;
  return terminal;
}

/// One pass of a rank.
Span PassSpan(int rank, Phase phase, int microbatch, double start, double end) {
  Span span;
  span.rank = rank;
  span.start = start;
  span.end = end;
  span.task.phase = phase;
  span.task.microbatch = microbatch;
  return span;
}

Timeline TwoRanks() {
  constexpr auto kF = Phase::kForward, kB = Phase::kBackward;
  Timeline timeline;
  timeline.rank_count = 2;
  timeline.end = 40;
  timeline.spans = {PassSpan(0, kF, 0, 0, 4),   PassSpan(0, kF, 1, 4, 8),   PassSpan(0, kB, 0, 14, 20),
                    PassSpan(0, kF, 2, 20, 24), PassSpan(0, kB, 1, 24, 30), PassSpan(0, kB, 2, 34, 40),
                    PassSpan(1, kF, 0, 4, 8),   PassSpan(1, kB, 0, 8, 14),  PassSpan(1, kF, 1, 14, 18),
                    PassSpan(1, kB, 1, 18, 24), PassSpan(1, kF, 2, 24, 28), PassSpan(1, kB, 2, 28, 34)};
  return timeline;
}

Timeline WithSide() {
  Timeline timeline;
  timeline.rank_count = 1;
  timeline.end = 18;
  timeline.names = {"bucket", "adam"};
  Span side = PassSpan(0, Phase::kForward, 0, 7, 13), epilogue = PassSpan(0, Phase::kForward, 0, 13, 18);
  side.kind = SpanKind::kSide;
  side.stream = Stream::kData;
  side.name = 0;
  epilogue.kind = SpanKind::kEpilogue;
  epilogue.name = 1;
  timeline.spans = {PassSpan(0, Phase::kForward, 0, 0, 4), PassSpan(0, Phase::kBackward, 0, 4, 10), epilogue, side};
  return timeline;
}

}  // namespace

TEST_CASE("a timeline is drawn with a row per rank", "[draw]") {
  CHECK(Draw(TwoRanks(), Wide(54)) ==
        "        0                                 40.0 s\n"
        "rank 0 |F0--F1--      B0====F2--B1====    B2====|  75%\n"
        "rank 1 |    F0--B0====F1--B1====F2--B2====      |  75%\n");
}

TEST_CASE("side tasks and epilogues are drawn by their names", "[draw]") {
  CHECK(Draw(WithSide(), Wide(40)) ==
        "        0                   18.0 s\n"
        "rank 0 |F0----B0======     adam+++|  83%\n"
        "  data |          bucket---       |  33%\n");
}

TEST_CASE("a pass too narrow for its name shows its letter", "[draw]") {
  Timeline timeline = TwoRanks();
  timeline.end = 120;
  CHECK(Draw(timeline, Wide(10)) ==
        "        0               2 min 00 s\n"
        "rank 0 |FF BFB1B2                 |  25%\n"
        "rank 1 | FBFBFB                   |  25%\n");
}

TEST_CASE("colours surround what they paint", "[draw]") {
  Timeline timeline;
  timeline.rank_count = 1;
  timeline.end = 1;
  timeline.spans = {PassSpan(0, Phase::kForward, 0, 0, 1)};
  Terminal terminal = Wide(40);
  terminal.colour = true;
  CHECK(Draw(timeline, terminal).find(terminal.Paint(Colour::kBlue, "F0" + std::string(24, '-'))) != std::string::npos);
}
