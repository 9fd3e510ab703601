// What `predict --trace FILE` writes: a trace that Perfetto opens, and nothing that the step did not do.
#include <catch2/catch.hpp>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "plan/scenario.h"
#include "study/predict.h"
#include "tests/cli/program.h"

using namespace isochrone;
using namespace isochrone::cli;
using nlohmann::json;

namespace {

struct Track {
  std::string name;
  std::vector<std::pair<double, double>> events;  // begin, end
};

/// [process][thread]
using Tracks = std::map<int, std::map<int, Track>>;

Tracks TracksOf(const json& trace) {
  Tracks tracks;
  for (const json& e : trace["traceEvents"]) {
    if (e["name"] == "process_name") continue;
    Track& track = tracks[e["pid"]][e["tid"]];
    if (e["ph"] == "M") track.name = e["args"]["name"];
    else track.events.emplace_back(e["ts"], e["ts"].get<double>() + e["dur"].get<double>());
  }
  return tracks;
}

}  // namespace

TEST_CASE("a step's trace has its timeline's spans on one track for each stream, named as Megatron does", "[trace]") {
  const isochrone::tests::Folder folder;
  const Done done = Isochrone("predict " + kScenario + " --trace " + (folder / "t.json"));
  INFO(done.out);
  REQUIRE(done.status == 0);
  const json trace = json::parse(ContentOf(folder / "t.json"));
  const plan::Timeline timeline = study::Predict(plan::ReadScenario(kScenario), {.timeline = true}).result.timeline;

  std::size_t events = 0;
  double end = 0;
  std::set<std::string> names;
  for (const json& e : trace["traceEvents"]) {
    if (e["ph"] == "M") continue;
    REQUIRE(e["ph"] == "X");
    ++events;
    end = std::max(end, e["ts"].get<double>() + e["dur"].get<double>());
    const std::string name = e["name"];
    names.insert(name.substr(0, name.find(' ')));
  }
  CHECK(events == timeline.spans.size());
  CHECK(end * 1e-6 == Approx(timeline.end).epsilon(1e-12));
  for (const char* name : {"forward-compute", "backward-compute", "forward-send-recv", "backward-send-recv"})
    CHECK(names.count(name) == 1);

  const Tracks tracks = TracksOf(trace);
  CHECK(tracks.size() == static_cast<std::size_t>(timeline.rank_count));
  for (const auto& [rank, threads] : tracks) {
    std::set<std::string> streams;
    for (const auto& [thread, track] : threads) {
      INFO("rank " << rank << " track " << track.name);
      CHECK(!track.name.empty());
      CHECK(streams.insert(track.name).second);
      for (std::size_t i = 1; i < track.events.size(); ++i)
        CHECK(track.events[i].first >= track.events[i - 1].second * (1 - 1e-12));
    }
  }
}

TEST_CASE("every schedule's step can be traced", "[trace]") {
  const isochrone::tests::Folder folder;
  for (const std::string schedule : {"zb_h1", "zb_v", "dualpipe"}) {
    json scenario = json::parse(ContentOf(kScenario));
    scenario.erase("published");
    scenario["strategy"].erase("chunks_per_rank");
    scenario["strategy"]["schedule"] = schedule;
    std::ofstream(folder / "s.json") << scenario;
    const Done done = Isochrone("predict " + (folder / "s.json") + " --trace " + (folder / "t.json"));
    INFO(schedule << "\n" << done.out);
    REQUIRE(done.status == 0);
    CHECK(TracksOf(json::parse(ContentOf(folder / "t.json"))).size() == 8);
  }
}
