#include <cuda_runtime.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "executor/cuda/device_calls.h"
#include "executor/cuda/device_rank.h"
#include "executor/cuda/gpu_bench.h"
#include "executor/cuda/launcher.h"
#include "executor/cuda/run.h"
#include "executor/rank_run.h"
#include "kernels/cuda/error.h"

namespace isochrone::executor::cuda {
namespace {

/// `body(rank)` on a thread for every rank; the first failure is the cause of all.
void OnThreads(int world, const std::function<void(int)>& body) {
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(rank);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  if (failure) std::rethrow_exception(failure);
}

void RefuseWithoutGpu() {
  if (const std::string why = WhyNoGpu(); !why.empty()) {
    throw Error(
        "--device cuda", why,
        "nvidia-smi must list the GPU: install NVIDIA's driver (580 or newer for CUDA 13), or use --device cpu");
  }
}

RankReport RunRank(const DevicePlan& run, int rank, int device, Store& store) {
  const RunOptions& options = *run.options;
  const std::unique_ptr<Calls> calls = OpenDevice(device, rank, store, options.timeout_s);
  DeviceRank one(run, rank, *calls);
  for (int step = 0; step < options.steps; ++step) {
    if (options.interrupted != nullptr && *options.interrupted && step > 0) break;
    one.Launch(step);
    one.Collect();
  }
  one.Finish();
  return one.Report();
}

/// All ranks as threads, each with a GPU of this machine.
RunResult RunThreads(const plan::Scenario& scenario, const plan::Plan& plan, const DevicePlan& run) {
  const int world = plan.layout.World(), devices = GpuCount();
  if (world > devices) {
    throw Error("--device cuda",
                "the plan has " + std::to_string(world) + " ranks, this machine " + std::to_string(devices) + " GPUs",
                "start one process per GPU with torchrun, srun or mpirun, or use a smaller strategy");
  }
  const std::unique_ptr<Store> store = MakeLocalStore(run.options->timeout_s);
  std::vector<RankReport> reports(static_cast<std::size_t>(world));
  OnThreads(world, [&](int rank) { reports[static_cast<std::size_t>(rank)] = RunRank(run, rank, rank, *store); });
  return ResultOf(scenario, plan, *run.options, reports);
}

std::optional<RunResult> RunProcess(const plan::Scenario& scenario, const plan::Plan& plan, const DevicePlan& run,
                                    const Launched& launched) {
  if (launched.world != plan.layout.World()) {
    throw Error(
        "--device cuda under " + launched.by,
        std::to_string(launched.world) + " processes for a plan of " + std::to_string(plan.layout.World()) + " ranks",
        "start as many as tensor x context x data x pipeline");
  }
  if (launched.local_rank >= GpuCount()) {
    throw Error("--device cuda under " + launched.by,
                "rank " + std::to_string(launched.rank) + " is number " + std::to_string(launched.local_rank) +
                    " of its node, which has " + std::to_string(GpuCount()) + " GPUs",
                "start at most one process per GPU on every node");
  }
  const std::unique_ptr<Store> store =
      MakeTcpStore(launched.address, launched.port, launched.rank, launched.world, run.options->timeout_s);
  const RankReport report = RunRank(run, launched.rank, launched.local_rank, *store);
  if (launched.rank > 0) {
    store->Set("report " + std::to_string(launched.rank), Pack(report));
    return std::nullopt;
  }
  std::vector<RankReport> reports = {report};
  for (int rank = 1; rank < launched.world; ++rank)
    reports.push_back(Unpack(store->Get("report " + std::to_string(rank))));
  return ResultOf(scenario, plan, *run.options, reports);
}

}  // namespace

std::string WhyNoGpu() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return std::string("CUDA finds no GPU: ") + cudaGetErrorString(status);
  return count > 0 ? "" : "CUDA finds no GPU";
}

int GpuCount() {
  int count = 0;  // untouched where there is no driver
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::string GpuName() {
  RefuseWithoutGpu();
  cudaDeviceProp properties{};
  ISO_CUDA(cudaGetDeviceProperties(&properties, 0));
  return properties.name;
}

GpuTimings MeasureGpus(const std::function<BenchRequest(int)>& request, double timeout_s) {
  RefuseWithoutGpu();
  const int world = GpuCount();
  const BenchRequest asked = request(world);
  const std::unique_ptr<Store> store = MakeLocalStore(timeout_s);
  GpuTimings first;
  OnThreads(world, [&](int rank) {
    const std::unique_ptr<Calls> calls = OpenDevice(rank, rank, *store, timeout_s);
    RankBench bench(*calls, rank, world, asked);
    while (bench.Launch()) bench.Collect();
    if (rank == 0) first = bench.Timings();
  });
  return first;
}

std::optional<RunResult> RunOnGpus(const plan::Scenario& scenario, const plan::Plan& plan, const RunOptions& options) {
  RefuseWithoutGpu();
  ISO_CHECK(options.steps > 0 && options.tokens);
  RunOptions wall = options;
  wall.clock = ClockKind::kWall;
  const DevicePlan run = PrepareDevicePlan(scenario, plan, wall);
  const Launched launched = ReadLauncher([](const char* name) { return std::getenv(name); });
  if (!launched.by.empty()) return RunProcess(scenario, plan, run, launched);
  return RunThreads(scenario, plan, run);
}

}  // namespace isochrone::executor::cuda
