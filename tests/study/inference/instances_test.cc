#include "study/inference/instances.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

TEST_CASE("Packrat's programme finds the best split, as trying all does", "[study]") {
  // One thread: 1 s an item; more threads speed up less and less.
  std::vector<Instance> profile;
  for (const int t : {1, 2, 4, 8})
    for (const int b : {1, 2, 4, 8, 16}) profile.push_back({t, b, b / std::pow(t, 0.6) + 0.3});
  const std::vector<Instance> best = BestInstances(profile, 8, 16);
  double latency = 0;
  int threads = 0, items = 0;
  for (const Instance& i : best) latency = std::max(latency, i.seconds), threads += i.threads, items += i.batch;
  CHECK(items == 16);
  CHECK(threads <= 8);
  CHECK(latency == Approx(2.3));           // eight instances of one thread and two items
  CHECK(latency < 16 / std::pow(8, 0.6));  // one instance with all threads
  CHECK(BestInstances({{4, 4, 1}}, 2, 4).empty());
}

const char* kScenario = R"({"workload": "instances", "model": "models/byte_gpt.json",
  "cluster": {"node": "hardware/cpu_node.json", "nodes": 1},
  "instances": {"threads": 4, "sizes": [1, 2, 4], "batches": [2, 8], "profile": "p.csv"}})";
const char* kProfile =
    "# by "
    "hand\nthreads,batch,seconds\n1,2,2.2\n1,1,1.2\n2,1,0.9\n2,2,1.5\n2,4,2.6\n2,8,5\n4,2,1\n4,8,3.5\n1,8,8\n1,4,4\n";

TEST_CASE("the chosen instances beat every fixed split of the threads, by what the profile says", "[study]") {
  const tests::Folder folder;
  folder.Write("p.csv", kProfile);
  const InstancesScenario s = ReadInstances(folder.Write("s.json", kScenario));
  const InstancesAnswer a = ChooseInstances(s);
  REQUIRE(a.choices.size() == 2);
  CHECK(a.choices[0].seconds == 0.9);  // two instances of two threads, an item each
  CHECK(a.choices[0].chosen.size() == 2);
  CHECK(a.choices[0].fixed[0].seconds == 0);  // four instances have no work in two items
  CHECK(a.choices[0].fixed[2].seconds == 1);
  CHECK(a.choices[1].seconds == 2.2);  // four of one thread
  CHECK(a.choices[1].fixed[1].seconds == 2.6);
  CHECK(a.gain[2] == Approx((1 / 0.9 + 3.5 / 2.2) / 2));
  CHECK(a.gain[0] == 1);
  for (const InstancesChoice& c : a.choices)
    for (const FixedSplit& f : c.fixed) CHECK((f.seconds == 0 || f.seconds >= c.seconds));
}

TEST_CASE("every part that a scenario needs is measured once", "[study]") {
  const tests::Folder folder;
  folder.Write("p.csv", kProfile);
  const auto points = PointsToMeasure(ReadInstances(folder.Write("s.json", kScenario)));
  for (const int threads : {1, 2, 4})
    for (const int batch : {2, 8})
      for (int n = 1; n <= 4 / threads; n *= 2)
        CHECK(std::count_if(points.begin(), points.end(), [&](const Instance& p) {
                return p.threads == threads && p.batch == (batch + n - 1) / n;
              }) == 1);
}

TEST_CASE("a profile is read as it is written, and a damaged one is refused with its line", "[study]") {
  const tests::Folder folder;
  const std::vector<Instance> profile = {{1, 2, 0.25}, {2, 4, 1e-3}};
  const std::string path = folder.Write("p.csv", ProfileText(profile, "by hand"));
  const auto again = ReadProfile(path, "p.csv");
  REQUIRE(again.size() == 2);
  CHECK(again[1].threads == 2);
  CHECK(again[1].seconds == 1e-3);
  const auto complaint = [&](const std::string& text) {
    const std::string at = folder.Write("p.csv", text);
    return tests::Complaint(folder, [&] { ReadProfile(at, "p.csv"); });
  };
  CHECK(complaint("threads,batch,seconds\n1,2\n") ==
        "p.csv:2\n  is \"1,2\"\n  give threads,batch,seconds, all above 0");
  CHECK(complaint("threads,batch,seconds\n1,2,-1\n").find("p.csv:2") == 0);
  CHECK(complaint("1,2,3\n").find("is not a profile's header") != std::string::npos);
  CHECK(complaint("threads,batch,seconds\n").find("has no measurement") != std::string::npos);
}

TEST_CASE("sizes that leave threads over are refused", "[study]") {
  const tests::Folder folder;
  const std::string path = folder.Write("s.json", tests::Replaced(kScenario, "[1, 2, 4]", "[1, 3]"));
  CHECK(tests::Complaint(folder, [&] { ReadInstances(path); }) ==
        "s.json: /instances/sizes/1 = 3\n  must divide threads = 4\n  leave it out");
}

}  // namespace
}  // namespace isochrone::study
