#include <sys/wait.h>

#include "base/error.h"
#include "kernels/cuda/device.cuh"
#include "tests/kernels/cuda_checks.h"

// What the emulation of a GPU catches: each case is a kernel with one mistake.

using namespace isochrone;
using namespace isochrone::kernels;
using namespace isochrone::kernels::cuda;
using Catch::Matchers::Contains;
using checks::Guarded;

namespace {

std::string FaultOf(unsigned threads, const std::function<void()>& kernel) {
  try {
    emulation::Launch(1, threads, 0, kernel);
  } catch (const Error& e) {
    return e.where + ": " + e.fault;
  }
  return "none";
}

/// Whether `body` ends its process otherwise than by returning.
bool Dies(const std::function<void()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);  // a fault is expected here: no report of the test framework
    if (freopen("/dev/null", "w", stderr) == nullptr) _exit(0);
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace

TEST_CASE("threads see their index, meet at barriers and share an array", "[cuda][emulation]") {
  std::vector<int> out(12 * 64, -1);
  emulation::Launch(dim3(3, 2, 2), 64, 0, [&] {
    ISO_SHARED(int, shared, 64);
    shared[threadIdx.x] = static_cast<int>(threadIdx.x);
    __syncthreads();
    const unsigned block = blockIdx.x + 3 * (blockIdx.y + 2 * blockIdx.z);
    out[block * 64 + threadIdx.x] = shared[63 - threadIdx.x] + 100 * static_cast<int>(block);
  });
  for (int i = 0; i < 12 * 64; ++i) CHECK(out[i] == 63 - i % 64 + 100 * (i / 64));
}

TEST_CASE("lanes exchange values, vote, and add up", "[cuda][emulation]") {
  std::vector<double> sums(96);
  unsigned votes = 0, counter = 0;
  emulation::Launch(1, 96, 0, [&] {
    sums[threadIdx.x] = OverWarp(static_cast<double>(threadIdx.x), Plus());
    votes = __ballot_sync(kAllLanes, threadIdx.x % 2);
    atomicAdd(&counter, threadIdx.x);
  });
  for (int i = 0; i < 96; ++i) CHECK(sums[i] == 32 * (i / 32 * 32) + 31 * 16);
  CHECK(votes == 0xaaaaaaaau);
  CHECK(counter == 95 * 48);
}

TEST_CASE("a barrier that some threads miss is reported with both places", "[cuda][emulation]") {
  const std::string early = FaultOf(64, [] {
    if (threadIdx.x == 40) return;
    __syncthreads();
  });
  CHECK_THAT(early, Contains("threads diverge: thread 0 waits at the barrier emulation_test.cc:"));
  CHECK_THAT(early, Contains("thread 40 has ended"));
  const std::string apart = FaultOf(64, [] {
    if (threadIdx.x < 32) __syncthreads();
    else __syncthreads();
  });
  CHECK_THAT(apart, Contains("thread 32 waits at the barrier"));
}

TEST_CASE("masks are honoured: who is in them must come, who is not must neither call nor be read",
          "[cuda][emulation]") {
  CHECK_THAT(FaultOf(32,
                     [] {
                       if (threadIdx.x < 16) __shfl_xor_sync(kAllLanes, 1, 8);
                     }),
             Contains("waits for lanes of its mask"));
  CHECK_THAT(FaultOf(32, [] { __shfl_sync(0x0000ffffu, 1, 0); }), Contains("a mask that leaves it out"));
  CHECK_THAT(FaultOf(32,
                     [] {
                       if (threadIdx.x < 16) __shfl_sync(0x0000ffffu, 1, 20);
                     }),
             Contains("reads lane 20, which is not in its mask"));
  CHECK(FaultOf(32, [] {
          if (threadIdx.x < 16) __shfl_xor_sync(0x0000ffffu, 1, 8);
        }) == "none");
}

TEST_CASE("an index that leaves a shared array is reported", "[cuda][emulation]") {
  CHECK_THAT(FaultOf(32,
                     [] {
                       ISO_SHARED(float, shared, 31);
                       shared[threadIdx.x] = 0;
                     }),
             Contains("thread 31 of a kernel: an index leaves a shared array"));
}

TEST_CASE("an access that leaves its array ends the program", "[cuda][emulation]") {
  Guarded<float> data(32, true);
  const auto touch = [&](Index beyond) {
    return [&data, beyond] { emulation::Launch(1, 32, 0, [&] { data[threadIdx.x + beyond] = 0; }); };
  };
  CHECK_FALSE(Dies(touch(0)));
  CHECK(Dies(touch(1)));
  CHECK(Dies([] {
    emulation::Launch(1, 32, 32 * sizeof(float), [] {
      ISO_DYNAMIC_SHARED(float, shared);
      shared[threadIdx.x + 1] = 0;
    });
  }));
}

TEST_CASE("an access of 16 bytes that is not aligned is reported", "[cuda][emulation]") {
  Guarded<float> data(64, true);
  CHECK(FaultOf(1, [&] { cuda::Write<4>(data.Data() + 4, Same<4>(1)); }) == "none");
  CHECK_THAT(FaultOf(1, [&] { cuda::Read<4>(data.Data() + 1); }), Contains("16 bytes is not aligned"));
}

TEST_CASE("a missing barrier gives other bits in another order of threads, and stale shared memory is NaN",
          "[cuda][emulation]") {
  std::vector<float> results;
  for (const auto order : {emulation::Order::kAscending, emulation::Order::kDescending}) {
    emulation::SetOrder(order);
    float sum = 0;
    emulation::Launch(1, 64, 0, [&] {
      ISO_SHARED(float, shared, 64);
      shared[threadIdx.x] = 1;  // and no barrier
      if (threadIdx.x == 63)
        for (int i = 0; i < 64; ++i) sum += shared[i];
    });
    results.push_back(sum);
  }
  emulation::SetOrder(emulation::Order::kAscending);
  CHECK(results[0] == 64);
  CHECK(std::isnan(results[1]));
}

TEST_CASE("after a failed launch the next one runs", "[cuda][emulation]") {
  for (int i = 0; i < 3; ++i) {
    CHECK(FaultOf(64, [] {
            if (threadIdx.x > 0) __syncthreads();
          }) != "none");
    int ran = 0;
    emulation::Launch(2, 64, 0, [&] {
      __syncthreads();
      ++ran;
    });
    CHECK(ran == 128);
  }
}
