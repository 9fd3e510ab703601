// Linked where the program is built without nvcc and NCCL; run_gpus.cu takes its place where they are.
#include "base/error.h"
#include "executor/cuda/run.h"

namespace isochrone::executor::cuda {

std::string WhyNoGpu() { return "this program was built without CUDA"; }

int GpuCount() { return 0; }

namespace {

[[noreturn]] void Refuse() {
  throw Error("--device cuda", WhyNoGpu(), "build it where nvcc and NCCL are, with ISO_CUDA=ON ./run (docs/cuda.md)");
}

}  // namespace

std::optional<RunResult> RunOnGpus(const plan::Scenario&, const plan::Plan&, const RunOptions&) { Refuse(); }
std::string GpuName() { Refuse(); }
GpuTimings MeasureGpus(const std::function<BenchRequest(int)>&, double) { Refuse(); }

}  // namespace isochrone::executor::cuda
