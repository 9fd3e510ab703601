#include "executor/cuda/recorder.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <tuple>

#include <catch2/catch.hpp>

#include "base/error.h"

// What the recorder catches: each case is a host path with one mistake.

using namespace isochrone;
using namespace isochrone::executor::cuda;
using Catch::Matchers::Contains;

namespace {

std::string FaultOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.where + ": " + e.fault;
  }
  return "none";
}

/// Two ranks with a communicator, a stream and a block each.
struct Pair {
  Recorder recorder{{}};
  std::unique_ptr<Calls> calls[2];
  std::unique_ptr<Comm> comm[2];
  Stream stream[2];
  Event event[2];
  float* data[2];

  Pair() {
    for (int r = 0; r < 2; ++r) {
      calls[r] = recorder.Join(r);
      comm[r] = calls[r]->NewComm("pair", {0, 1}, r);
      stream[r] = calls[r]->NewStream(false);
      event[r] = calls[r]->NewEvent();
      data[r] = static_cast<float*>(calls[r]->Malloc(8 * sizeof(float)));
    }
  }
  std::string Wait() {
    return FaultOf([&] {
      for (int r = 0; r < 2; ++r) calls[r]->Record(event[r], stream[r]);
      for (int r = 0; r < 2; ++r) calls[r]->Synchronize(event[r]);
    });
  }
};

void Write(Calls& calls, const std::string& name, float* data, float value, Stream stream) {
  const Access access{data, 8 * sizeof(float), true};
  calls.Run(name, stream, {&access, 1}, [=](Stream) { std::fill_n(data, 8, value); });
}
std::string Read(Calls& calls, const float* data, Stream stream) {
  const Access access{data, 8 * sizeof(float), false};
  return FaultOf([&] { calls.Run("reader", stream, {&access, 1}, [](Stream) {}); });
}

}  // namespace

TEST_CASE("work on one stream runs in order, and an event carries the order to another", "[cuda]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Recorder recorder({.seed = seed});
    const auto calls = recorder.Join(0);
    const Stream a = calls->NewStream(false), b = calls->NewStream(true);
    const Event done = calls->NewEvent(), end = calls->NewEvent();
    auto* data = static_cast<float*>(calls->Malloc(8 * sizeof(float)));
    float seen = 0;
    Write(*calls, "first", data, 1, a);
    Write(*calls, "second", data, 2, a);
    calls->Record(done, a);
    calls->Wait(b, done);
    const Access access{data, 8 * sizeof(float), false};
    calls->Run("reader", b, {&access, 1}, [&](Stream) { seen = data[7]; });
    calls->Record(end, b);
    calls->Synchronize(end);
    CHECK(seen == 2);
    CHECK(calls->Seconds(done, end) > 0);
  }
}

TEST_CASE("an access that nobody waits for is reported with both sides", "[cuda]") {
  Recorder recorder({});
  const auto calls = recorder.Join(3);
  const Stream a = calls->NewStream(false), b = calls->NewStream(false);
  auto* data = static_cast<float*>(calls->Malloc(8 * sizeof(float)));
  Write(*calls, "writer", data, 1, a);
  CHECK(Read(*calls, data, b) ==
        "rank 3: reader: reads memory that writer writes on another stream, without a wait between them");
  const Event e = calls->NewEvent();
  calls->Record(e, a);
  calls->Wait(b, e);
  CHECK(Read(*calls, data, b) == "none");
  CHECK_THAT(FaultOf([&] { Write(*calls, "another writer", data, 2, a); }),
             Contains("another writer: writes memory that reader reads on another stream"));
}

TEST_CASE("an event that was recorded too early orders nothing", "[cuda]") {
  Recorder recorder({});
  const auto calls = recorder.Join(0);
  const Stream a = calls->NewStream(false), b = calls->NewStream(false);
  auto* data = static_cast<float*>(calls->Malloc(8 * sizeof(float)));
  const Event e = calls->NewEvent();
  calls->Record(e, a);
  Write(*calls, "writer", data, 1, a);
  calls->Wait(b, e);
  CHECK_THAT(Read(*calls, data, b), Contains("without a wait between them"));
  CHECK_THAT(FaultOf([&] { calls->Wait(b, calls->NewEvent()); }), Contains("never recorded"));
}

TEST_CASE("memory that is gone, foreign or left behind is reported", "[cuda]") {
  Recorder recorder({});
  const auto calls = recorder.Join(0);
  const Stream s = calls->NewStream(false);
  auto* data = static_cast<float*>(calls->Malloc(8 * sizeof(float)));
  CHECK_THAT(FaultOf([&] { recorder.CheckNothingLeft(); }), Contains("leaves 1 blocks of memory behind"));
  CHECK_THAT(Read(*calls, data + 1, s), Contains("touches 32 bytes that are not allocated"));
  calls->Free(data);
  CHECK_THAT(Read(*calls, data, s), Contains("not allocated"));
  CHECK_THAT(FaultOf([&] { calls->Free(data); }), Contains("frees memory that is not allocated"));
  CHECK_THAT(FaultOf([&] { recorder.CheckNothingLeft(); }), Contains("leaves 1 streams behind"));
  calls->DestroyStream(s);
  CHECK(FaultOf([&] { recorder.CheckNothingLeft(); }) == "none");
}

TEST_CASE("messages that cross go in one group each, and hang where they do not", "[cuda]") {
  const auto exchange = [](bool grouped) {
    Pair p;
    for (int r = 0; r < 2; ++r) {
      Calls& calls = *p.calls[r];
      Write(calls, "mine", p.data[r], static_cast<float>(r + 1), p.stream[r]);
      if (grouped) calls.GroupStart();
      calls.Send(*p.comm[r], p.data[r], 4, Format::kFloat, 1 - r, p.stream[r]);
      calls.Receive(*p.comm[r], p.data[r] + 4, 4, Format::kFloat, 1 - r, p.stream[r]);
      if (grouped) calls.GroupEnd();
    }
    const std::string fault = p.Wait();
    return std::tuple(fault, p.data[0][4], p.data[1][4], p.recorder.Counted().paired);
  };
  CHECK(exchange(true) == std::tuple(std::string("none"), 2.0f, 1.0f, std::size_t{2}));
  CHECK(std::get<0>(exchange(false)) ==
        "NCCL: nothing can move: rank 0 has send of 4 over pair to rank 1; rank 1 has send of 4 over pair to rank 0");
}

TEST_CASE("collectives in other orders on two ranks hang, also on streams of their own", "[cuda]") {
  Pair p;
  std::unique_ptr<Comm> other[2];
  for (int r = 0; r < 2; ++r) {
    Calls& calls = *p.calls[r];
    other[r] = calls.NewComm("other", {0, 1}, r);
    const Stream second = calls.NewStream(false);
    for (const bool first : {r == 0, r == 1}) {
      if (first) calls.AllReduce(*p.comm[r], p.data[r], p.data[r], 4, Format::kFloat, p.stream[r]);
      else calls.AllReduce(*other[r], p.data[r] + 4, p.data[r] + 4, 4, Format::kFloat, second);
    }
  }
  CHECK_THAT(p.Wait(), Contains("nothing can move"));
}

TEST_CASE("collectives add in the order of ranks, scatter and gather", "[cuda]") {
  Pair p;
  for (int r = 0; r < 2; ++r) {
    Calls& calls = *p.calls[r];
    Write(calls, "mine", p.data[r], static_cast<float>(r + 1), p.stream[r]);
    calls.AllReduce(*p.comm[r], p.data[r], p.data[r], 2, Format::kFloat, p.stream[r]);
    calls.ReduceScatter(*p.comm[r], p.data[r] + 2, p.data[r] + 2 + r, 2, Format::kFloat, p.stream[r]);
    calls.AllGather(*p.comm[r], p.data[r] + 6 + r, p.data[r] + 6, 2, Format::kFloat, p.stream[r]);
  }
  REQUIRE(p.Wait() == "none");
  for (int r = 0; r < 2; ++r) {
    CHECK(p.data[r][0] == 3);
    CHECK(p.data[r][2 + r] == 3);
    CHECK(p.data[r][6] == 1);
    CHECK(p.data[r][7] == 2);
  }
}

TEST_CASE("ends that do not agree are reported", "[cuda]") {
  Pair p;
  p.calls[0]->Send(*p.comm[0], p.data[0], 4, Format::kFloat, 1, p.stream[0]);
  p.calls[1]->Receive(*p.comm[1], p.data[1], 5, Format::kFloat, 0, p.stream[1]);
  CHECK_THAT(p.Wait(), Contains("send of 4 over pair to rank 1") && Contains(" meets ") &&
                           Contains("receive of 5 over pair from rank 0"));
  CHECK_THAT(FaultOf([&] { p.calls[0]->GroupEnd(); }), Contains("was not begun"));
}

TEST_CASE("a call that is told to fail fails, once", "[cuda]") {
  Recorder recorder({});
  const auto calls = recorder.Join(2);
  recorder.FailAt(2);
  calls->NewEvent();
  CHECK(FaultOf([&] { calls->NewEvent(); }) == "rank 2, cudaEventCreate: was told to fail");
  CHECK(FaultOf([&] { calls->NewEvent(); }) == "none");
}
