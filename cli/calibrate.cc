#include "costmodel/calibrate/calibrate.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "cli/verb.h"

namespace isochrone::cli {
namespace {

struct Asked {
  std::string gpu, out;
  std::vector<std::string> tables;
  int samples = 2400, folds = 5;
};

std::string Today() {
  char text[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

int Calibrate(const Asked& asked) {
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
  return {.name = "calibrate",
          .summary = "fits a GPU's efficiency profile to tables of measured kernels",
          .example = "isochrone calibrate hardware/a100_sxm_80gb.json gemm_perf.csv --out profile.json",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->gpu, "gpu", "a GPU of the catalogue, or a file");
            options.Positionals(asked->tables, "tables",
                                "CSV files of measured kernels; costmodel/calibrate/samples.h lists the forms");
            options.Text(asked->out, "--out", "write the profile to this file");
            options.Whole(asked->samples, "--samples", 20, 1000000,
                          "at most so many samples a curve, thinned evenly over size");
            options.Whole(asked->folds, "--folds", 0, 20, "of the cross-validation; 0: none");
            return [asked] { return Calibrate(*asked); };
          }};
}

}  // namespace isochrone::cli
