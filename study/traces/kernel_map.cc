#include "study/traces/kernel_map.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/statistics.h"

namespace isochrone::study {
namespace {

std::regex Expression(const Json& json) {
  try {
    return std::regex(json.String(), std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error&) {
    json.Fail("is no regular expression", "escape brackets and stars that are meant as they stand with \\");
  }
}

std::vector<std::regex> Expressions(const Json& group, const char* key) {
  std::vector<std::regex> list;
  if (const auto found = group.Find(key)) {
    for (const Json& item : found->Items()) list.push_back(Expression(item));
  }
  return list;
}

bool Found(const std::vector<std::regex>& any, const std::string& text) {
  return std::any_of(any.begin(), any.end(), [&](const std::regex& e) { return std::regex_search(text, e); });
}

/// The groups whose `list` takes a name, remembered: a trace has few names and many kernels.
class Takers {
 public:
  Takers(const KernelMap& map, std::vector<std::regex> KernelGroup::*list) : map_(map), list_(list) {}
  const std::vector<bool>& Of(const std::string& name) {
    const auto [it, first] = known_.try_emplace(name);
    if (first) {
      for (const KernelGroup& g : map_.groups) it->second.push_back(Found(g.*list_, name));
    }
    return it->second;
  }

 private:
  const KernelMap& map_;
  std::vector<std::regex> KernelGroup::*list_;
  std::map<std::string, std::vector<bool>> known_;
};

/// The ranges of a thread that are open at a moment, which includes the one that begins then and not the one that ends;
/// asked about in the order of time.
class OpenRanges {
 public:
  explicit OpenRanges(const KernelTrace& trace) {
    for (const TracedRange& r : trace.ranges) threads_[r.thread].ranges.push_back(&r);
    for (auto& [id, thread] : threads_) {
      std::stable_sort(thread.ranges.begin(), thread.ranges.end(),
                       [](const TracedRange* a, const TracedRange* b) { return a->start < b->start; });
    }
  }
  const std::vector<const TracedRange*>& At(std::int64_t id, double time) {
    Thread& t = threads_[id];
    std::erase_if(t.open, [&](const TracedRange* r) { return r->end <= time; });
    for (; t.next < t.ranges.size() && t.ranges[t.next]->start <= time; ++t.next) {
      if (t.ranges[t.next]->end > time) t.open.push_back(t.ranges[t.next]);
    }
    return t.open;
  }

 private:
  struct Thread {
    std::vector<const TracedRange*> ranges, open;
    std::size_t next = 0;
  };
  std::map<std::int64_t, Thread> threads_;
};

double MomentOf(const TracedKernel& k) { return std::isnan(k.launched) ? k.start : k.launched; }

/// The steps that count, or one that holds everything.
std::vector<TracedRange> StepsOf(const KernelTrace& trace, const KernelMap& map) {
  std::map<std::string, TracedRange> by_name;  // a profiler may write a step's range on several threads
  for (const TracedRange& r : trace.ranges) {
    if (!std::regex_search(r.name, map.step)) continue;
    const auto [it, first] = by_name.emplace(r.name, r);
    if (!first && r.end - r.start > it->second.end - it->second.start) it->second = r;
  }
  std::vector<TracedRange> steps;
  for (const auto& [name, range] : by_name) steps.push_back(range);
  std::sort(steps.begin(), steps.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
  const std::size_t skipped = static_cast<std::size_t>(map.skipped_steps);
  if (!steps.empty() && steps.size() <= skipped) {
    throw Error(trace.file, "has " + std::to_string(steps.size()) + " steps, all of which are skipped",
                "record more, or write a smaller skipped_steps into " + map.file);
  }
  if (!steps.empty()) steps.erase(steps.begin(), steps.begin() + map.skipped_steps);
  return steps;
}

int DeviceOf(const KernelTrace& trace, const KernelMap& map) {
  std::set<int> devices;
  for (const TracedKernel& k : trace.kernels) devices.insert(k.device);
  const int chosen = map.device.value_or(*devices.begin());
  if ((!map.device && devices.size() > 1) || !devices.count(chosen)) {
    std::vector<std::string> names;
    for (const int d : devices) names.push_back(std::to_string(d));
    throw Error(trace.file, "holds kernels of devices " + JoinedWith(names, "and"),
                "write into " + map.file + " which one counts: \"device\": " + names.front());
  }
  return chosen;
}

std::vector<std::pair<std::string, double>> LongestFirst(const std::map<std::string, double>& seconds) {
  std::vector<std::pair<std::string, double>> list(seconds.begin(), seconds.end());
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

/// The kernels that count, in the order in which they were launched; and, where ranges say what a step is, how long the
/// median one took. Without such ranges the trace is map.steps steps from its first kernel to the end of its last.
std::vector<const TracedKernel*> KernelsOfSteps(const KernelTrace& trace, const KernelMap& map, TraceComparison& c) {
  const int device = DeviceOf(trace, map);
  const std::vector<TracedRange> steps = StepsOf(trace, map);
  std::vector<const TracedKernel*> kernels;
  double first = HUGE_VAL, last = -HUGE_VAL;
  for (const TracedKernel& k : trace.kernels) {
    const bool counts =
        steps.empty() || std::any_of(steps.begin(), steps.end(), [&](const TracedRange& s) {
          const bool within = MomentOf(k) >= s.start && MomentOf(k) < s.end;
          return within && k.name != s.name;  // where operators count, a step's own time is no operator's
        });
    if (k.device != device || !counts) continue;
    first = std::min(first, k.start);
    last = std::max(last, k.start + k.seconds);
    kernels.push_back(&k);
  }
  if (kernels.empty()) {
    throw Error(trace.file, "has no kernel of device " + std::to_string(device) + " within its steps",
                "record the runtime's calls too, or write another \"step\" into " + map.file);
  }
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const TracedKernel* a, const TracedKernel* b) { return MomentOf(*a) < MomentOf(*b); });
  std::vector<double> seconds;
  for (const TracedRange& s : steps) seconds.push_back(s.end - s.start);
  c.steps = steps.empty() ? map.steps : static_cast<int>(steps.size());
  c.step_seconds = steps.empty() ? (last - first) / map.steps : Median(seconds);
  return kernels;
}

}  // namespace

KernelMap ReadKernelMap(const std::string& path) {
  const Json json = Json::File(path);
  json.Allow({"step", "skipped_steps", "steps", "device", "groups"});
  KernelMap map{.file = path, .step = std::regex("ProfilerStep#"), .device = {}, .groups = {}};
  if (const auto step = json.Find("step")) map.step = Expression(*step);
  if (const auto skipped = json.Find("skipped_steps")) map.skipped_steps = static_cast<int>(skipped->Int(0, 1'000'000));
  if (const auto steps = json.Find("steps")) map.steps = static_cast<int>(steps->Int(1, 1'000'000));
  if (const auto device = json.Find("device")) map.device = static_cast<int>(device->Int(0, 1'000'000));
  for (const Json& group : json.At("groups").Items()) {
    group.Allow({"name", "kernels", "within", "operations"});
    map.groups.push_back({.name = group.At("name").String(),
                          .kernels = Expressions(group, "kernels"),
                          .within = Expressions(group, "within"),
                          .operations = Expressions(group, "operations")});
  }
  return map;
}

std::vector<PredictedOperation> OperationsOf(const Prediction& prediction) {
  std::vector<PredictedOperation> operations;
  for (const OperationLine& line : prediction.operations)
    operations.push_back({line.program + " " + line.name + " " + plan::NameOf(line.phase), line.Total()});
  return operations;
}

TraceComparison CompareTrace(const KernelTrace& trace, const KernelMap& map,
                             const std::vector<PredictedOperation>& predicted) {
  TraceComparison c;
  for (const KernelGroup& g : map.groups) c.groups.push_back({.name = g.name});
  Takers kernels(map, &KernelGroup::kernels), within(map, &KernelGroup::within),
      operations(map, &KernelGroup::operations);
  OpenRanges open(trace);
  std::map<std::string, double> other_kernels, other_operations;
  for (const TracedKernel* k : KernelsOfSteps(trace, map, c)) {
    const std::vector<bool>& takes = kernels.Of(k->name);
    const std::vector<const TracedRange*>& around = open.At(k->thread, MomentOf(*k));
    std::size_t g = 0;
    for (; g < takes.size(); ++g) {
      if (!takes[g]) continue;
      if (map.groups[g].within.empty() ||
          std::any_of(around.begin(), around.end(), [&](const TracedRange* r) { return within.Of(r->name)[g]; }))
        break;
    }
    if (g == takes.size()) {
      other_kernels[k->name] += k->seconds / c.steps;
    } else {
      c.groups[g].measured += k->seconds / c.steps;
      c.groups[g].kernels += 1.0 / c.steps;
    }
  }
  for (const PredictedOperation& op : predicted) {
    const std::vector<bool>& takes = operations.Of(op.text);
    const auto g = std::find(takes.begin(), takes.end(), true);
    if (g == takes.end()) other_operations[op.text] += op.seconds;
    else c.groups[static_cast<std::size_t>(g - takes.begin())].predicted += op.seconds;
  }
  std::stable_sort(c.groups.begin(), c.groups.end(), [](const GroupTimes& a, const GroupTimes& b) {
    return std::abs(a.Difference()) > std::abs(b.Difference());
  });
  c.other_kernels = LongestFirst(other_kernels);
  c.other_operations = LongestFirst(other_operations);
  return c;
}

}  // namespace isochrone::study
