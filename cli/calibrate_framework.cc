#include "cli/calibrate_framework.h"

#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/verb.h"

namespace isochrone::cli {
namespace {

Table RowTable(const study::FrameworkFit& fit) {
  Table table({{"id", "row", "", Align::kLeft},
               {"before_pct", "before", "%"},
               {"after_pct", "after", "%"},
               {"left_out_pct", "left out", "%"}});
  const auto percent = [](double ratio) { return Number{100 * (ratio - 1), 1}; };
  for (const study::FittedRow& row : fit.rows) {
    table.AddRow({row.id, percent(row.before), percent(row.after), percent(row.left_out)});
  }
  return table;
}

}  // namespace

int CalibrateFramework(const study::FrameworkFitRequest& request, const std::string& rows, const std::string& out) {
  const study::FrameworkFit fit = study::FitFramework(study::ReadRows(rows), request);
  std::printf("%s\n", RowTable(fit).Text().c_str());
  for (const auto& constant : costmodel::FrameworkConstants()) {
    for (const std::string& name : request.constants) {
      if (name == constant.name) std::printf("%s = %s\n", name.c_str(), ThreeDigits(constant.get(fit.profile)).c_str());
    }
  }
  if (!request.clock_of.empty())
    std::printf("sustained clock of %s = %s\n", request.clock_of.c_str(), ThreeDigits(fit.clock).c_str());
  std::printf("mean error of %zu rows: %s before, %s after, %s left out\nspread %s, which holds %s of them\n",
              fit.rows.size(), Percent(fit.before).c_str(), Percent(fit.after).c_str(), Percent(fit.left_out).c_str(),
              Percent(fit.profile.spread).c_str(), Percent(fit.coverage).c_str());
  if (out.empty()) return kAnswered;
  std::ofstream file(out, std::ios::binary);
  file << costmodel::Print(fit.profile);
  if (!file.flush())
    throw Error("--out " + out, "cannot be written", "name a file in a folder that exists and can be written");
  return kAnswered;
}

}  // namespace isochrone::cli
