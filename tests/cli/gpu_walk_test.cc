#include "tests/cli/gpu_walk.h"

#include <catch2/catch.hpp>

#include "tests/executor/recorded.h"
#include "tests/executor/tiny.h"
#include "tests/folder.h"

// What gpu_check does on a machine with GPUs, done on recorded ones: emulated kernels, products and collectives of the
// host.

using namespace isochrone;
using namespace isochrone::executor::cuda;

namespace {

tests::Gpus Recorded(int count) {
  tests::Gpus gpus;
  gpus.count = count;
  gpus.run = [](const plan::Scenario& s, const executor::RunOptions& options) {
    Recorder recorder({.seed = 11});
    executor::RunResult result = RunRecorded(s, options, recorder);
    recorder.CheckNothingLeft();
    return result;
  };
  gpus.measure = [=](const BenchRequest& request) {
    Recorder recorder({.computes = false,
                       .seconds = [](const Recorder::Work& work) { return 2e-6 + work.bytes / 1e12; },
                       .device = {.name = "NVIDIA A100-SXM4-80GB", .driver = {}, .runtime = {}, .nccl = {}}});
    return MeasureRecorded(count, request, recorder);
  };
  return gpus;
}

BenchRequest FewShapes(int gpus) {
  BenchRequest request = FullBench(gpus);
  request.formats = {plan::Dtype::kFp32};
  request.repeats = 1;
  request.least_seconds = 0;
  std::erase_if(request.products, [](const auto& p) { return p.m * p.n > (1 << 19) || p.k > 1024; });
  std::erase_if(request.stream_bytes, [](double bytes) { return bytes > (2 << 20); });
  std::erase_if(request.message_bytes, [](double bytes) { return bytes > (1 << 20); });
  request.overlap_bytes = 1 << 20;
  return request;
}

}  // namespace

TEST_CASE("eight recorded GPUs equal one CPU rank in every way that gpu_check tries", "[cuda]") {
  std::FILE* out = std::tmpfile();
  CHECK(tests::CheckEquality(Recorded(8), out) == 0);
  std::rewind(out);
  int lines = 0;
  for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out)) lines += c == '\n';
  CHECK(lines == 17);
  std::fclose(out);
}

TEST_CASE("gpu_check finds a GPU whose losses, gradients or parameters are off by 2 in a thousand", "[cuda]") {
  std::FILE* out = std::tmpfile();
  for (const int which : {0, 1, 2}) {
    tests::Gpus gpus = Recorded(1);
    const auto right = gpus.run;
    gpus.run = [=](const plan::Scenario& s, const executor::RunOptions& options) {
      executor::RunResult result = right(s, options);
      if (which == 0) result.losses.back() *= 1.002;
      auto& tensors = which == 1 ? result.gradients : result.parameters;
      if (which > 0)
        for (double& v : tensors.begin()->second) v *= 1.002;
      return result;
    };
    CHECK(tests::CheckEquality(gpus, out) == 4);  // of six ways those in fp32
  }
  std::fclose(out);
}

TEST_CASE("gpu_check calibrates, predicts with that profile, runs, and lays both side by side", "[cuda]") {
  std::vector<plan::Scenario> scenarios;
  for (const int tensor : {1, 2}) {
    plan::Scenario s = executor::Tiny();
    s.question = "tensor " + std::to_string(tensor);
    s.strategy.precision = s.strategy.gradient_dtype = s.strategy.gradient_reduce_dtype = plan::Dtype::kFp32;
    s.strategy.tensor = tensor;
    scenarios.push_back(s);
  }
  const tests::Folder folder;
  std::FILE* out = std::tmpfile();
  const auto lines = tests::ComparePredictions(Recorded(2), tests::NodeOf("NVIDIA A100-SXM4-80GB"), FewShapes(2),
                                               scenarios, folder.Path(), out);
  std::fclose(out);
  REQUIRE(lines.size() == 2);
  for (const auto& line : lines) {
    CHECK(line.predicted_s > 0);
    CHECK(line.measured_s > 0);
  }
  CHECK(lines[1].gpus == 2);
  CHECK(tests::ScenariosFor(1).size() == 3);
  CHECK(tests::ScenariosFor(8).size() == 7);
  CHECK(tests::NodeOf("NVIDIA GeForce").empty());
}
