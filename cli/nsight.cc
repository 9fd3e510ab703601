#include "cli/nsight.h"

#include <fstream>
#include <map>

#include "base/error.h"
#include "reports/sqlite.h"

namespace isochrone::cli {
namespace {

constexpr double kNano = 1e-9;

bool HasTable(const reports::Database& file, const std::string& name) {
  return file.Prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").Bind(1, name).Step();
}

struct Launch {
  double at = 0;
  std::int64_t thread = -1;
};

std::map<std::int64_t, Launch> LaunchesOf(const reports::Database& file) {
  std::map<std::int64_t, Launch> launches;
  if (!HasTable(file, "CUPTI_ACTIVITY_KIND_RUNTIME")) return launches;
  reports::Statement s = file.Prepare("SELECT correlationId, start, globalTid FROM CUPTI_ACTIVITY_KIND_RUNTIME");
  while (s.Step()) launches[s.Int(0)] = {kNano * static_cast<double>(s.Int(1)), s.Int(2)};
  return launches;
}

/// Adds the rows of one table of device work. `name` is an SQL expression.
void AddKernels(const reports::Database& file, const std::string& table, const std::string& name,
                const std::string& joined, const std::map<std::int64_t, Launch>& launches, study::KernelTrace& trace) {
  if (!HasTable(file, table)) return;
  reports::Statement s = file.Prepare("SELECT " + name + ", k.start, k.end, k.deviceId, k.correlationId FROM " + table +
                                      " k " + joined + " ORDER BY k.start");
  while (s.Step()) {
    study::TracedKernel kernel{.name = s.Text(0),
                               .start = kNano * static_cast<double>(s.Int(1)),
                               .seconds = kNano * static_cast<double>(s.Int(2) - s.Int(1)),
                               .device = static_cast<int>(s.Int(3))};
    if (const auto it = launches.find(s.Int(4)); it != launches.end()) {
      kernel.launched = it->second.at;
      kernel.thread = it->second.thread;
    }
    trace.kernels.push_back(std::move(kernel));
  }
}

void AddRanges(const reports::Database& file, study::KernelTrace& trace) {
  if (!HasTable(file, "NVTX_EVENTS")) return;
  reports::Statement s = file.Prepare(
      "SELECT coalesce(e.text, n.value, ''), e.start, e.end, e.globalTid FROM NVTX_EVENTS e "
      "LEFT JOIN StringIds n ON n.id = e.textId WHERE e.end IS NOT NULL");
  while (s.Step()) {
    trace.ranges.push_back(
        {s.Text(0), kNano * static_cast<double>(s.Int(1)), kNano * static_cast<double>(s.Int(2)), s.Int(3)});
  }
}

}  // namespace

study::KernelTrace ReadNsight(const std::string& path) {
  const reports::Database file(path);
  study::KernelTrace trace{.file = path, .kernels = {}, .ranges = {}};
  const std::map<std::int64_t, Launch> launches = LaunchesOf(file);
  AddKernels(file, "CUPTI_ACTIVITY_KIND_KERNEL", "n.value", "JOIN StringIds n ON n.id = k.demangledName", launches,
             trace);
  AddKernels(file, "CUPTI_ACTIVITY_KIND_MEMCPY", "'Memcpy'", "", launches, trace);
  AddKernels(file, "CUPTI_ACTIVITY_KIND_MEMSET", "'Memset'", "", launches, trace);
  AddRanges(file, trace);
  if (trace.kernels.empty())
    throw Error(path, "holds no kernels", "record with nsys profile --trace=cuda,nvtx and export with --type sqlite");
  return trace;
}

study::KernelTrace ReadKernelTrace(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(16, ' ');
  if (!file.read(start.data(), static_cast<std::streamsize>(start.size())))
    throw Error(path, "cannot be read as a trace", "give what a profiler exported");
  if (start.rfind("SQLite format 3", 0) == 0) return ReadNsight(path);
  if (start.rfind("\x1f\x8b", 0) == 0) throw Error(path, "is compressed", "unpack it: gunzip " + path);
  const char first = start[std::min(start.find_first_not_of(" \t\r\n"), start.size() - 1)];
  return first == '{' || first == '[' ? study::ReadKineto(path) : study::ReadKernelTable(path);
}

}  // namespace isochrone::cli
