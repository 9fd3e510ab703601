#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "study/traces/kernel_trace.h"

namespace isochrone::study {
namespace {

using nlohmann::json;

constexpr std::size_t kMostBytes = std::size_t{4} << 30;
constexpr double kMicro = 1e-6;

// Categories, as Kineto writes them now and as it did before 2022.
const std::set<std::string> kDeviceCategories = {"kernel", "gpu_memcpy", "gpu_memset", "Kernel", "Memcpy", "Memset"};
const std::set<std::string> kLaunchCategories = {"cuda_runtime", "cuda_driver", "Runtime"};
const std::set<std::string> kRangeCategories = {"user_annotation", "cpu_op", "Operator", "python_function"};

// Where PyTorch was built without Kineto its profiler writes a list of ranges, which have no category but this process.
constexpr char kPlainProcess[] = "CPU functions";

enum class EventKind { kDevice, kLaunch, kRange, kOther };

EventKind KindOf(const json& event) {
  if (!event.is_object() || event.value("ph", "") != "X") return EventKind::kOther;
  const auto category = event.find("cat");
  if (category == event.end()) {
    return event.value("pid", json()) == kPlainProcess ? EventKind::kRange : EventKind::kOther;
  }
  if (!category->is_string()) return EventKind::kOther;
  const std::string& name = category->get_ref<const std::string&>();
  if (kDeviceCategories.count(name)) return EventKind::kDevice;
  if (kLaunchCategories.count(name)) return EventKind::kLaunch;
  return kRangeCategories.count(name) ? EventKind::kRange : EventKind::kOther;
}

struct Launch {
  double at;
  std::int64_t thread;
};

/// A thread's number: processes number theirs apart, and names of threads ("stream 7") are no host's.
std::int64_t ThreadOf(const json& event) {
  const json &process = event.value("pid", json(0)), &thread = event.value("tid", json(0));
  const auto number = [](const json& v) {
    return v.is_number() ? v.get<std::int64_t>()
                         : static_cast<std::int64_t>(std::hash<std::string>()(v.dump()) & 0x7fffffff);
  };
  return (number(process) << 32) ^ number(thread);
}

double NumberOf(const std::string& path, const json& event, const char* key) {
  const auto it = event.find(key);
  if (it == event.end() || !it->is_number() || !std::isfinite(it->get<double>()))
    throw Error(path, std::string("has an event without a number \"") + key + "\"", "export the trace again");
  return it->get<double>();
}

/// Operators' own times, where no device was traced: ranges of one thread nest.
void OwnTimes(KernelTrace& trace) {
  std::map<std::int64_t, std::vector<const TracedRange*>> threads;
  for (const TracedRange& r : trace.ranges) threads[r.thread].push_back(&r);
  for (auto& [thread, ranges] : threads) {
    std::stable_sort(ranges.begin(), ranges.end(), [](const TracedRange* a, const TracedRange* b) {
      return a->start != b->start ? a->start < b->start : a->end > b->end;
    });
    std::vector<std::size_t> open;  // kernels of the ranges that are not over yet
    std::vector<double> ends;
    for (const TracedRange* r : ranges) {
      while (!ends.empty() && ends.back() <= r->start) open.pop_back(), ends.pop_back();
      if (!open.empty()) trace.kernels[open.back()].seconds -= r->end - r->start;
      open.push_back(trace.kernels.size());
      ends.push_back(r->end);
      trace.kernels.push_back(
          {.name = r->name, .start = r->start, .seconds = r->end - r->start, .launched = r->start, .thread = thread});
    }
  }
}

}  // namespace

KernelTrace ReadKineto(const std::string& path) {
  const json file = json::parse(Json::FileText(path, kMostBytes, path), nullptr, false);
  const json* events = &file;
  if (file.is_object() && file.contains("traceEvents")) events = &file["traceEvents"];
  if (file.is_discarded() || !events->is_array())
    throw Error(path, "is no trace of PyTorch's profiler", "give what torch.profiler's export_chrome_trace wrote");
  KernelTrace trace{.file = path, .kernels = {}, .ranges = {}};
  std::map<std::int64_t, Launch> launches;  // by correlation
  std::vector<std::int64_t> correlations;   // [kernel]
  double zero = HUGE_VAL;                   // times may count from 1970, where a double has a quarter of a microsecond
  for (const json& event : *events) {
    if (KindOf(event) != EventKind::kOther) zero = std::min(zero, NumberOf(path, event, "ts"));
  }
  for (const json& event : *events) {
    const EventKind kind = KindOf(event);
    if (kind == EventKind::kOther) continue;
    const double start = kMicro * (NumberOf(path, event, "ts") - zero), seconds = kMicro * NumberOf(path, event, "dur");
    const json args = event.value("args", json::object());
    if (kind == EventKind::kDevice) {
      trace.kernels.push_back(
          {.name = event.value("name", ""), .start = start, .seconds = seconds, .device = args.value("device", 0)});
      correlations.push_back(args.value("correlation", std::int64_t{-1}));
    } else if (kind == EventKind::kLaunch) {
      launches[args.value("correlation", std::int64_t{-1})] = {start, ThreadOf(event)};
    } else {
      trace.ranges.push_back({event.value("name", ""), start, start + seconds, ThreadOf(event)});
    }
  }
  for (std::size_t i = 0; i < correlations.size(); ++i) {
    const auto it = launches.find(correlations[i]);
    if (correlations[i] < 0 || it == launches.end()) continue;
    trace.kernels[i].launched = it->second.at;
    trace.kernels[i].thread = it->second.thread;
  }
  if (trace.kernels.empty()) OwnTimes(trace);
  if (trace.kernels.empty()) throw Error(path, "holds no kernels", "profile with activities CUDA and CPU");
  return trace;
}

}  // namespace isochrone::study
