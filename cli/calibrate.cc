#include "costmodel/calibrate/calibrate.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/calibrate_framework.h"
#include "cli/verb.h"

namespace isochrone::cli {
namespace {

struct Asked {
  std::string gpu, out;
  std::vector<std::string> tables;
  int samples = 2400, folds = 5;
  bool framework = false;
  study::FrameworkFitRequest fit;
};

std::string Today() {
  char text[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

int FitFramework(const Asked& asked) {
  study::FrameworkFitRequest request = asked.fit;
  request.framework = asked.gpu;
  if (asked.tables.size() != 1)
    throw Error("calibrate --framework " + asked.gpu, "needs one file of rows", "docs/rows.md has the schema");
  const std::string& rows = asked.tables.front();
  request.command = "isochrone calibrate --framework " + asked.gpu + " " + rows.substr(rows.rfind('/') + 1);
  for (const std::string& name : request.constants) request.command += " --constant " + name;
  for (const std::string& name : request.families) request.command += " --family " + name;
  if (request.every > 1) request.command += " --every " + std::to_string(request.every);
  return CalibrateFramework(request, rows, asked.out);
}

int Calibrate(const Asked& asked) {
  if (asked.framework) return FitFramework(asked);
  costmodel::CalibrationRequest request;
  request.gpu = plan::ReadGpu(asked.gpu);
  request.start = *costmodel::ProfileOf(request.gpu);
  request.command = "isochrone calibrate " + asked.gpu;
  for (const std::string& table : asked.tables) {
    request.tables.push_back(costmodel::ReadSamples(table));
    request.command += " " + table;
  }
  request.date = Today();
  request.folds = asked.folds;
  request.most_samples = asked.samples;
  const costmodel::CalibrationReport report = costmodel::Calibrate(request);
  std::fputs(costmodel::Print(report).c_str(), stdout);
  if (asked.out.empty()) return kAnswered;
  std::ofstream out(asked.out, std::ios::binary);
  out << costmodel::Print(report.profile);
  if (!out.flush())
    throw Error("--out " + asked.out, "cannot be written", "name a file in a folder that exists and can be written");
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
            "CSV files of measured kernels, forms in costmodel/calibrate/samples.h; or rows, schema in docs/rows.md");
        options.Text(asked->out, "--out", "write the profile to this file");
        options.Whole(asked->samples, "--samples", 20, 1000000,
                      "at most so many samples a curve, thinned evenly over size");
        options.Whole(asked->folds, "--folds", 0, 20, "of the cross-validation; 0: none");
        options.Flag(asked->framework, "--framework",
                     "fit the profile of a framework, named in place of the GPU, to a file of published rows");
        options.Texts(asked->fit.constants, "--constant",
                      "with --framework: one to fit, up to four; none: the spread only");
        options.Texts(asked->fit.families, "--family", "with --framework: take rows of this family only");
        options.Whole(asked->fit.every, "--every", 1, 1000, "with --framework: take the first of so many rows");
        return [asked] { return Calibrate(*asked); };
      }};
}

}  // namespace isochrone::cli
