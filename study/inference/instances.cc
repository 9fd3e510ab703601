#include "study/inference/instances.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <utility>

#include "base/error.h"
#include "plan/inference/inference_scenario.h"
#include "plan/readers.h"

namespace isochrone::study {
namespace {

const char* const kHeader = "threads,batch,seconds";

std::vector<int> ReadCounts(const Json& list, std::int64_t most) {
  std::vector<int> counts;
  for (const Json& item : list.Items()) counts.push_back(static_cast<int>(item.Int(1, most)));
  if (counts.empty()) list.Fail("is empty", "give at least one number");
  return counts;
}

Instance ReadPoint(std::string_view line, const std::string& where) {
  Instance point;
  const char* at = line.data();
  const char* const end = at + line.size();
  auto read = std::from_chars(at, end, point.threads);
  const bool threads = read.ec == std::errc() && read.ptr < end && *read.ptr == ',' && point.threads > 0;
  if (threads) read = std::from_chars(read.ptr + 1, end, point.batch);
  const bool batch = threads && read.ec == std::errc() && read.ptr < end && *read.ptr == ',' && point.batch > 0;
  if (batch) read = std::from_chars(read.ptr + 1, end, point.seconds);
  if (!batch || read.ec != std::errc() || read.ptr != end || !(point.seconds > 0) || point.seconds > 1e9)
    throw Error(where, "is \"" + std::string(line) + "\"", std::string("give ") + kHeader + ", all above 0");
  return point;
}

const Instance* PointAt(const std::vector<Instance>& profile, int threads, int batch) {
  const auto it = std::find_if(profile.begin(), profile.end(),
                               [&](const Instance& p) { return p.threads == threads && p.batch == batch; });
  return it == profile.end() ? nullptr : &*it;
}

int Part(int batch, int instances) { return (batch + instances - 1) / instances; }

}  // namespace

std::vector<Instance> ReadProfile(const std::string& path, const std::string& name) {
  const std::string text = Json::FileText(path, std::size_t{64} << 20, name);
  std::vector<Instance> profile;
  bool headed = false;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t feed = rest.find('\n');
    std::string_view line = rest.substr(0, feed);
    rest = feed == std::string_view::npos ? std::string_view() : rest.substr(feed + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const std::string where = name + ":" + std::to_string(number);
    if (headed) profile.push_back(ReadPoint(line, where));
    else if (line != kHeader) throw Error(where, "is not a profile's header", std::string("begin with ") + kHeader);
    headed = true;
  }
  if (profile.empty()) throw Error(name, "has no measurement", "write one with isochrone run SCENARIO --profile FILE");
  return profile;
}

std::string ProfileText(const std::vector<Instance>& profile, const std::string& origin) {
  std::string text = "# " + origin + "\n" + kHeader + "\n";
  for (const Instance& p : profile) {
    char line[96];
    std::snprintf(line, sizeof line, "%d,%d,%.6g\n", p.threads, p.batch, p.seconds);
    text += line;
  }
  return text;
}

std::vector<Instance> PointsToMeasure(const InstancesScenario& s) {
  std::set<std::pair<int, int>> points;
  for (const int threads : s.sizes)
    for (const int batch : s.batches)
      for (int instances = 1; instances <= s.threads / threads; instances *= 2)
        points.emplace(threads, Part(batch, instances));
  std::vector<Instance> all;
  for (const auto& [threads, batch] : points) all.push_back({.threads = threads, .batch = batch});
  return all;
}

InstancesScenario ReadInstances(const std::string& path) {
  const plan::Found file = plan::FindFile(path);
  const Json root = plan::ReadJson(file);
  root.Allow({"question", "workload", "model", "cluster", "instances", "sources"});
  root.At("workload").OneOf({"instances"});
  InstancesScenario s;
  s.file = file.name;
  if (const auto question = root.Find("question")) s.question = question->String();
  s.model = plan::ModelOf(root.At("model"), file);
  s.cluster = plan::ClusterFrom(root.At("cluster"), file);
  const Json object = root.At("instances");
  object.Allow({"threads", "sizes", "batches", "profile"});
  s.threads = static_cast<int>(object.At("threads").Int(1, s.cluster.nodes * s.cluster.node.gpus));
  s.sizes = ReadCounts(object.At("sizes"), s.threads), s.batches = ReadCounts(object.At("batches"), 1 << 16);
  for (const Json& size : object.At("sizes").Items()) {
    if (s.threads % size.Int(1, s.threads) != 0)
      size.Fail("must divide threads = " + std::to_string(s.threads), "leave it out");
  }
  if (const auto profile = object.Find("profile")) {
    const plan::Found found = plan::FindReference(*profile, file);
    s.profile = ReadProfile(found.path, found.name);
  }
  return s;
}

InstancesAnswer ChooseInstances(const InstancesScenario& s) {
  InstancesAnswer a;
  a.gain.resize(s.sizes.size());
  std::vector<int> counted(s.sizes.size());
  for (const int batch : s.batches) {
    InstancesChoice choice;
    choice.batch = batch, choice.chosen = BestInstances(s.profile, s.threads, batch);
    for (const Instance& i : choice.chosen) choice.seconds = std::max(choice.seconds, i.seconds);
    for (std::size_t k = 0; k < s.sizes.size(); ++k) {
      const int instances = s.threads / s.sizes[k];
      const Instance* part = instances <= batch ? PointAt(s.profile, s.sizes[k], Part(batch, instances)) : nullptr;
      choice.fixed.push_back({s.sizes[k], part != nullptr ? part->seconds : 0});
      if (part == nullptr || choice.chosen.empty()) continue;
      a.gain[k] += part->seconds / choice.seconds, ++counted[k];
    }
    a.choices.push_back(std::move(choice));
  }
  for (std::size_t k = 0; k < a.gain.size(); ++k) a.gain[k] = counted[k] > 0 ? a.gain[k] / counted[k] : 0;
  return a;
}

}  // namespace isochrone::study
