#include "executor/cuda/message_order.h"

#include <map>
#include <set>
#include <tuple>

#include <catch2/catch.hpp>

#include "executor/cuda/timings.h"
#include "tests/executor/recorded.h"
#include "tests/executor/schedule_cases.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;
using namespace isochrone::executor::cuda;

TEST_CASE(
    "in every schedule, up to 16 ranks, messages of a pair leave and arrive in one order, behind their task and "
    "before the one that reads them",
    "[cuda]") {
  for (const ScheduleCase& c : kScheduleCases) {
    for (const int ranks : {2, 4, 6, 8, 16}) {
      INFO(plan::NameOf(c.kind) << " on " << ranks);
      const plan::Schedule s = plan::BuildSchedule(
          {.kind = c.kind, .ranks = ranks, .chunks = c.chunks, .microbatches = c.MicrobatchesOf(ranks)});
      const std::vector<RankLaunches> launches = OrderMessages(s);
      std::map<std::pair<int, int>, std::vector<PipelineMessage>> sent, received;
      bool behind = true, before = true;
      for (int rank = 0; rank < ranks; ++rank) {
        using Key = std::tuple<bool, int, int, int>;
        std::set<Key> made, here;
        std::size_t tasks = 0;
        for (const auto& launch : launches[static_cast<std::size_t>(rank)]) {
          if (const auto* group = std::get_if<MessageGroup>(&launch)) {
            for (const PipelineMessage& m : *group) {
              (m.from == rank ? sent : received)[{m.from, m.to}].push_back(m);
              const Key key{m.backward, m.direction, m.stage, m.microbatch};
              if (m.from == rank) behind = behind && made.count(key) == 1;
              else here.insert(key);
            }
            continue;
          }
          const plan::Task& t =
              s.order[static_cast<std::size_t>(rank)][static_cast<std::size_t>(std::get<int>(launch))];
          CHECK(std::get<int>(launch) == static_cast<int>(tasks++));
          const auto pass = [&](bool backward, int chunk, int microbatch) {
            const int stage = s.placement.StageOf(rank, chunk), direction = s.placement.DirectionOf(rank, chunk);
            const int source = stage + (backward ? 1 : -1);
            if (source >= 0 && source < s.placement.stages && s.placement.RankOf(direction, source) != rank)
              before = before && here.count({backward, direction, source, microbatch}) == 1;
            made.insert({backward, direction, stage, microbatch});
          };
          if (t.phase == plan::Phase::kForward || t.phase == plan::Phase::kOverlapped)
            pass(false, t.chunk, t.microbatch);
          if (t.phase == plan::Phase::kBackward || t.phase == plan::Phase::kBackwardInput)
            pass(true, t.chunk, t.microbatch);
          if (t.phase == plan::Phase::kOverlapped) pass(true, t.chunk_b, t.microbatch_b);
        }
        CHECK(tasks == s.order[static_cast<std::size_t>(rank)].size());
      }
      CHECK(behind);
      CHECK(before);
      CHECK(sent == received);
    }
  }
}

TEST_CASE("1F1B exchanges an activation and a gradient in one group", "[cuda]") {
  const plan::Schedule s =
      plan::BuildSchedule({.kind = plan::ScheduleKind::k1f1b, .ranks = 2, .chunks = 1, .microbatches = 3});
  const std::vector<RankLaunches> launches = OrderMessages(s);
  std::string text;
  for (const auto& launch : launches[0]) {
    if (const int* task = std::get_if<int>(&launch)) {
      text += plan::Print(s.order[0][static_cast<std::size_t>(*task)]) + " ";
      continue;
    }
    text += "[";
    for (const PipelineMessage& m : std::get<MessageGroup>(launch))
      text += (m.from == 0 ? ">" : "<") + std::to_string(m.microbatch);
    text += "] ";
  }
  CHECK(text == "F0 [>0] F1 [>1] [<0] B0 F2 [>2<1] B1 [<2] B2 ");
}

TEST_CASE("the recorder lets every schedule pass on up to 16 ranks: nothing hangs, races, or is left behind",
          "[cuda]") {
  for (const ScheduleCase& c : kScheduleCases) {
    for (const auto& [pipeline, tensor, data] :
         {std::tuple(2, 2, 2), std::tuple(4, 1, 2), std::tuple(4, 2, 1), std::tuple(8, 2, 1), std::tuple(16, 1, 1)}) {
      INFO(plan::NameOf(c.kind) << " pp " << pipeline << " tp " << tensor << " dp " << data);
      plan::Scenario s = ScenarioOf(c, pipeline, tensor, data);
      s.strategy.sequence_parallel = tensor > 1;
      if (data > 1) s.strategy.optimizer_sharding = plan::Sharding::kZero1;
      s.strategy.overlap_data = data > 1;
      s.strategy.overlap_parameter_gather = data > 1 && pipeline == 2;
      RunOptions options = TinyOptions(s, 2);
      options.keep_tensors = false;
      Recorder recorder({.seed = static_cast<std::uint64_t>(pipeline), .computes = false});
      CHECK_NOTHROW(RunRecorded(s, options, recorder));
      CHECK_NOTHROW(recorder.CheckNothingLeft());
      CHECK(recorder.Counted().messages > 0);
    }
  }
}

TEST_CASE("what a step's instants count for adds up to the step", "[cuda]") {
  const plan::Attribution a = AttributionOf({{0, 2, plan::Stream::kCompute},
                                             {1, 4, plan::Stream::kTensor},
                                             {3, 6, plan::Stream::kPipeline},
                                             {5, 7, plan::Stream::kCompute, true},
                                             {8, 9, plan::Stream::kCompute, false, true}},
                                            10);
  CHECK(a.compute.value == 2);
  CHECK(a.tensor.value == 2);
  CHECK(a.pipeline.value == 1);
  CHECK(a.recompute.value == 2);
  CHECK(a.optimizer.value == 1);
  CHECK(a.bubble.value == 2);
  CHECK(a.Sum().value == Approx(10));
}
