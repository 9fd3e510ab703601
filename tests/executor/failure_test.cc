// A run that cannot go on ends within seconds and says where and why.
#include <catch2/catch.hpp>

#include <chrono>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

plan::Scenario EightRanks() {
  plan::Scenario s = Tiny();
  s.strategy.tensor = s.strategy.pipeline = s.strategy.data = 2;
  return s;
}

/// The error that a run ends with; the run must end within 5 seconds.
Error Failure(const plan::Scenario& s, const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  try {
    Run<double>(s, plan::BuildPlan(s), options);
  } catch (const Error& e) {
    CHECK(seconds() < 5);
    return e;
  }
  FAIL("the run went on");
  throw std::logic_error("unreachable");
}

}  // namespace

TEST_CASE("a rank that fails ends the run with its number and what it did", "[executor]") {
  for (const ClockKind clock : {ClockKind::kVirtual, ClockKind::kWall}) {
    RunOptions options = TinyOptions(EightRanks());
    options.clock = clock;
    options.before_op = [](int rank, int step, const plan::Op& op) {
      if (rank == 5 && step == 1 && op.name == "fc1") throw std::runtime_error("the disk is on fire");
    };
    const Error e = Failure(EightRanks(), options);
    CHECK(e.where == "rank 5, step 1, op fc1 of transformer layer 2, forward of microbatch 0");
    CHECK(e.fault == "the disk is on fire");
  }
}

TEST_CASE("a message that never comes ends the run and names who waits for whom", "[executor]") {
  plan::Scenario s = Tiny();
  s.strategy.pipeline = 2;
  plan::Plan plan = plan::BuildPlan(s);
  plan.schedule.order[1].insert(plan.schedule.order[1].begin(), {.phase = plan::Phase::kForward, .microbatch = 99});
  RunOptions options = TinyOptions(s);
  options.timeout_s = 0.3;
  try {
    Run<double>(s, plan, options);
    FAIL("the run went on");
  } catch (const Error& e) {
    // Both wait: rank 1 for that message, rank 0 for gradients that rank 1 would send. Whoever gives up first speaks.
    const bool first = e.where == "rank 0";
    CHECK((first || e.where == "rank 1"));
    CHECK(e.fault ==
          std::string("waits for ") +
              (first ? "the gradient of microbatch 0 from rank 1" : "the activations of microbatch 99 from rank 0") +
              "; no rank has done anything for 0.300 s");
  }
}

TEST_CASE("a value that is not finite ends the run and names the rank and the op that wrote it first", "[executor]") {
  RunOptions options = TinyOptions(EightRanks());
  options.initial = [](const std::string& key, std::int64_t i) {
    return key == "layer.1.fc1.weight" && i == 5 ? std::numeric_limits<double>::quiet_NaN() : 0.01;
  };
  const Error e = Failure(EightRanks(), options);
  // Element 5 is in the first half of the rows, which tensor rank 0 holds; two data-parallel ranks have copies.
  CHECK((e.where == "rank 0, step 0, op fc1 of transformer layer 1, forward of microbatch 0" ||
         e.where == "rank 2, step 0, op fc1 of transformer layer 1, forward of microbatch 0"));
  CHECK(e.fault == "wrote a value that is not a finite number into fc1");
}

TEST_CASE("a value that stops being finite in a later step is found there", "[executor]") {
  plan::Scenario s = Tiny();
  RunOptions options = TinyOptions(s);
  options.adam.learning_rate = 1e300;  // the first update overflows
  options.clip_norm = 0;
  const Error e = Failure(s, options);
  CHECK(e.where.find("rank 0, step 1, op ") == 0);
  CHECK(e.fault.find("wrote a value that is not a finite number into ") == 0);
}

TEST_CASE("memory over the limit names the buffer and the rank", "[executor]") {
  RunOptions options = TinyOptions(EightRanks());
  options.memory_limit_bytes = 200e3;
  const Error e = Failure(EightRanks(), options);
  CHECK(e.where.find("rank ") == 0);
  CHECK(e.where.find("buffer ") != std::string::npos);
  CHECK(e.fault.find("the limit of a rank is ") != std::string::npos);
}

TEST_CASE("an interrupt ends the run and keeps what was measured", "[executor]") {
  std::atomic<bool> interrupted = false;
  RunOptions options = TinyOptions(EightRanks(), 1000000);
  options.interrupted = &interrupted;
  options.before_op = [&](int, int step, const plan::Op&) {
    if (step == 2) interrupted = true;
  };
  const RunResult result = Run<double>(EightRanks(), plan::BuildPlan(EightRanks()), options);
  CHECK(result.interrupted);
  REQUIRE(result.losses.size() >= 1);  // a rank may begin a step before the others have ended the last
  REQUIRE(result.losses.size() <= 2);
  std::vector<double> whole = RunTiny<double>(EightRanks(), 2).losses;
  whole.resize(result.losses.size());
  CHECK(result.losses == whole);
  CHECK(result.metrics.step_time.value > 0);
}

TEST_CASE("an interrupt in the first step ends the run", "[executor]") {
  std::atomic<bool> interrupted = true;
  RunOptions options = TinyOptions(EightRanks());
  options.interrupted = &interrupted;
  CHECK(Failure(EightRanks(), options).fault == "was interrupted before a step had ended");
}
