// gpu_check [NODE.json]: on the GPUs of this machine, equality with one CPU rank, then calibrate, predict and run: a
// table of predicted beside measured. Exit 77 where there is no GPU. The server is
// the catalogue's with such a GPU; name one where none fits.
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "executor/cuda/run.h"
#include "plan/build.h"
#include "tests/cli/gpu_walk.h"
#include "tests/folder.h"

using namespace isochrone;

int main(int argc, char** argv) try {
  if (const std::string why = executor::cuda::WhyNoGpu(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return 77;
  }
  const tests::Gpus gpus{.count = executor::cuda::GpuCount(),
                         .run =
                             [](const plan::Scenario& s, const executor::RunOptions& options) {
                               return *executor::cuda::RunOnGpus(s, plan::BuildPlan(s), options);
                             },
                         .measure =
                             [](const executor::cuda::BenchRequest& request) {
                               return executor::cuda::MeasureGpus([&](int) { return request; }, 120);
                             }};
  const int wrong = tests::CheckEquality(gpus, stdout);
  std::fflush(stdout);
  const std::string device = executor::cuda::GpuName();
  const std::string node = argc > 1 ? argv[1] : tests::NodeOf(device);
  if (node.empty())
    throw Error(device, "is in no server of the catalogue", "gpu_check NODE.json; docs/adding.md has the form");
  std::printf("\n%s, as in %s\n", device.c_str(), node.c_str());
  tests::ComparePredictions(gpus, node, tests::BenchOf(gpus.count), tests::ScenariosFor(gpus.count),
                            tests::Folder().Path(), stdout);
  return wrong == 0 ? 0 : 1;
} catch (const Error& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
