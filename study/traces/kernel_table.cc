#include <algorithm>
#include <map>

#include "base/error.h"
#include "costmodel/calibrate/csv.h"
#include "study/traces/kernel_trace.h"

namespace isochrone::study {
namespace {

/// The column "WORD (unit)", and what one of its units is in seconds.
struct TimeColumn {
  std::size_t at = 0;
  double unit = 1;
};

TimeColumn FindTime(const costmodel::Csv& csv, const std::string& word) {
  static const std::map<std::string, double> units = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
  for (const auto& [name, seconds] : units) {
    const std::string column = word + " (" + name + ")";
    if (csv.Has(column)) return {csv.Column(column), seconds};
  }
  return {csv.Column(word + " (ns)"), 1e-9};  // which says what is there instead
}

/// "NVIDIA H100 80GB HBM3 (3)": 3
int DeviceOf(const std::string& text) {
  const std::size_t open = text.rfind('(');
  const std::string number = open == std::string::npos ? text : text.substr(open + 1);
  return std::isdigit(static_cast<unsigned char>(number.c_str()[0])) ? std::atoi(number.c_str()) : 0;
}

}  // namespace

KernelTrace ReadKernelTable(const std::string& path) {
  const costmodel::Csv csv = costmodel::ReadCsv(path);
  const TimeColumn start = FindTime(csv, "Start"), duration = FindTime(csv, "Duration");
  const std::size_t name = csv.Column("Name");
  KernelTrace trace{.file = path, .kernels = {}, .ranges = {}};
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    trace.kernels.push_back({.name = csv.Text(row, name),
                             .start = start.unit * csv.Number(row, start.at, 0),
                             .seconds = duration.unit * csv.Number(row, duration.at, 0),
                             .device = csv.Has("Device") ? DeviceOf(csv.Text(row, csv.Column("Device"))) : 0});
  }
  if (trace.kernels.empty()) throw Error(path, "holds no kernels", "give one a line");
  return trace;
}

}  // namespace isochrone::study
