#include "costmodel/calibrate/calibrate.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/calibrate_framework.h"
#include "cli/calibrate_gpus.h"
#include "cli/inputs.h"
#include "cli/today.h"
#include "cli/verb.h"
#include "costmodel/calibrate/rate_ratio.h"
#include "executor/cuda/run.h"

namespace isochrone::cli {
namespace {

struct Asked {
  std::string gpu, out;
  std::vector<std::string> tables;
  std::string node;
  std::size_t device = 0;
  int samples = 2400, folds = 5;
  double timeout_s = 120;
  bool framework = false, attention = false, ratio = false;
  study::FrameworkFitRequest fit;
};

int FitFramework(const Asked& asked) {
  study::FrameworkFitRequest request = asked.fit;
  request.framework = asked.gpu;
  if (asked.tables.size() != 1)
    throw Error("calibrate --framework " + asked.gpu, "needs one file of rows", "docs/rows.md has the schema");
  const std::string& rows = asked.tables.front();
  request.command = "isochrone calibrate --framework " + asked.gpu + " " + rows.substr(rows.rfind('/') + 1);
  for (const std::string& name : request.constants) request.command += " --constant " + name;
  if (!request.clock_of.empty()) request.command += " --clock " + request.clock_of;
  for (const std::string& name : request.families) request.command += " --family " + name;
  if (request.every > 1) request.command += " --every " + std::to_string(request.every);
  return CalibrateFramework(request, rows, asked.out);
}

int CalibrateHere(const Asked& asked) {
  if (const std::string why = executor::cuda::WhyNoGpu(); !why.empty())
    throw Error("calibrate --device cuda", why, "measure where nvidia-smi lists a GPU; docs/cuda.md says how");
  if (asked.out.empty())
    throw Error("calibrate --device cuda", "needs --out", "name the profile's file; tables go beside it");
  GpuCalibration gpus{.gpu = asked.gpu,
                      .node = asked.node,
                      .out = asked.out,
                      .command = "isochrone calibrate " + asked.gpu + " --device cuda --out " + asked.out,
                      .tables = asked.tables,
                      .folds = asked.folds,
                      .most_samples = asked.samples};
  if (asked.attention) gpus.command += " --attention";
  const auto bench = [&](int count) {
    executor::cuda::BenchRequest request = executor::cuda::FullBench(count);
    if (asked.attention) executor::cuda::AddAttentionShapes(request);
    return request;
  };
  const executor::cuda::GpuTimings timings = executor::cuda::MeasureGpus(bench, asked.timeout_s);
  std::fputs(Print(timings, CalibrateFrom(timings, gpus)).c_str(), stdout);
  return kAnswered;
}

/// What a table's clock, or another GPU's, makes of the rates that a profile has.
int PrintRatio(const plan::Gpu& gpu, const std::vector<costmodel::SampleTable>& tables) {
  constexpr Flops kLeast(0.2e12);
  const auto profile = costmodel::ProfileOf(gpu);
  const costmodel::RateRatio ratio = costmodel::RateRatioOf(tables, gpu, *profile, kLeast);
  const auto print = [&](const costmodel::RateRatio& of, const std::string& products, const char* as) {
    std::printf("%d %s run at %s of the rates in profile %s%s (median; quartiles %s and %s)\n", of.products,
                products.c_str(), ThreeDigits(of.median).c_str(), profile->name.c_str(), as,
                ThreeDigits(of.lower).c_str(), ThreeDigits(of.upper).c_str());
  };
  print(ratio, "products of " + HumanScaled(kLeast.value, "FLOP") + " or more", "");
  if (std::all_of(tables.begin(), tables.end(), [](const auto& table) { return table.grouped.empty(); }))
    return kAnswered;
  const auto grouped = [&](costmodel::GroupedForm form) {
    return costmodel::GroupedRatioOf(tables, gpu, *profile, form);
  };
  print(grouped(costmodel::GroupedForm::kOneCallEach), "products of experts", " for one product after another");
  print(grouped(costmodel::GroupedForm::kOneKernel), "products of experts", " for all in one kernel");
  return kAnswered;
}

int Calibrate(const Asked& asked) {
  if (asked.framework) return FitFramework(asked);
  if (asked.device == 1) return CalibrateHere(asked);
  if (asked.tables.empty())
    throw Error("calibrate " + asked.gpu, "needs tables of measured kernels",
                "name some, or measure with --device cuda");
  costmodel::CalibrationRequest request;
  request.gpu = plan::ReadGpu(asked.gpu);
  request.start = *costmodel::ProfileOf(request.gpu);
  request.command = "isochrone calibrate " + asked.gpu;
  for (const std::string& table : asked.tables) {
    request.tables.push_back(costmodel::ReadSamples(table));
    request.command += " " + table;
  }
  if (asked.ratio) return PrintRatio(request.gpu, request.tables);
  request.date = Today();
  request.folds = asked.folds;
  request.most_samples = asked.samples;
  const costmodel::CalibrationReport report = costmodel::Calibrate(request);
  std::fputs(costmodel::Print(report).c_str(), stdout);
  if (asked.out.empty()) return kAnswered;
  WriteFile(asked.out, costmodel::Print(report.profile));
  return kAnswered;
}

}  // namespace

Verb CalibrateVerb() {
  return {
      .name = "calibrate",
      .summary = "fits a GPU's efficiency profile to measured kernels, or a framework's to published steps",
      .example = "isochrone calibrate hardware/a100_sxm_80gb.json gemm_perf.csv --out profile.json",
      .declare = [](Options& options) {
        auto asked = std::make_shared<Asked>();
        options.Positional(asked->gpu, "gpu", "a GPU of the catalogue, or a file; with --framework a framework");
        options.Positionals(
            asked->tables, "tables",
            "CSV files of measured kernels, forms in costmodel/calibrate/samples.h; or rows, schema in docs/rows.md",
            false);
        options.Text(asked->out, "--out", "write the profile to this file");
        options.Choice(asked->device, "--device", {"none", "cuda"},
                       "cuda: measure the GPUs of this machine now, and fit to that; see docs/cuda.md");
        options.Text(asked->node, "--node", "with --device cuda: the server's file, for a profile of its links");
        options.Flag(asked->attention, "--attention",
                     "with --device cuda: fit attention to the executor's own kernels, slower than FlashAttention");
        options.Number(asked->timeout_s, "--timeout-s", 0.01, 1e6, "with --device cuda: ends a GPU's silence");
        options.Whole(asked->samples, "--samples", 20, 1000000,
                      "at most so many samples a curve, thinned evenly over size");
        options.Whole(asked->folds, "--folds", 0, 20, "of the cross-validation; 0: none");
        options.Flag(asked->ratio, "--ratio",
                     "fit nothing: how fast the tables' products ran, over the GPU's profile; tables of operators too");
        options.Flag(asked->framework, "--framework",
                     "fit the profile of a framework, named in place of the GPU, to a file of published rows");
        options.Texts(asked->fit.constants, "--constant",
                      "with --framework: one to fit, up to four; none: the spread only");
        options.Text(asked->fit.clock_of, "--clock", "with --framework: also fit the sustained clock of this GPU");
        options.Texts(asked->fit.families, "--family", "with --framework: take rows of this family only");
        options.Whole(asked->fit.every, "--every", 1, 1000, "with --framework: take the first of so many rows");
        return [asked] { return Calibrate(*asked); };
      }};
}

}  // namespace isochrone::cli
