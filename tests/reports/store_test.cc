#include "reports/store.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "reports/digest.h"
#include "reports/history.h"
#include "tests/folder.h"

using nlohmann::json;
using namespace isochrone::reports;

namespace {

Input Score(double predicted, double mape, const std::string& commit) {
  json rows = json::array();
  for (int i = 0; i < 40; ++i) {
    rows.push_back(
        {{"id", "row_" + std::to_string(i)}, {"predicted_s", i == 7 ? predicted : 1.0 + i}, {"measured_s", 2.0}});
  }
  const json score = {{"kind", "score"},
                      {"families", {{{"family", "bloom"}, {"role", "held_out"}, {"mape_pct", mape}}}},
                      {"rows", rows},
                      {"provenance", {{"version", "0.1.0"}, {"commit", commit}, {"date", "2026-11-21"}}}};
  return {"published.json", score.dump()};
}

Input Prediction(double step) {
  const json body = {{"kind", "prediction"},
                     {"step_time_s", step},
                     {"scenario", {{"file", "gpt.json"}, {"model", "gpt"}}},
                     {"provenance", {{"profile", "a100"}, {"commit", "c1"}}}};
  return {"out.json", body.dump()};
}

}  // namespace

TEST_CASE("SHA-256 is that of FIPS 180-4", "[store]") {
  CHECK(Sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("what is saved reads back, with its provenance", "[store]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  const Input input = Prediction(1.5);
  const Entry entry = store.Save(input);
  CHECK(entry.kind == "prediction");
  CHECK(entry.subject == "gpt.json");
  CHECK(json::parse(store.Read(entry.hash)) == json::parse(input.text));
  CHECK(json::parse(store.Read(entry.hash.substr(0, 12))) == json::parse(input.text));
}

TEST_CASE("the same answer from two commits is one object with two entries", "[store]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  const Entry first = store.Save(Score(1.0, 5, "c1")), second = store.Save(Score(1.0, 5, "c2"));
  CHECK(first.hash == second.hash);
  CHECK(first.id != second.id);
  CHECK(store.List("score").size() == 2);
  CHECK(store.Size().objects == 1);
  CHECK(Movements(store).empty());
}

TEST_CASE("a later answer is kept as its difference, and a chain of them reads back", "[store]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  std::vector<std::pair<std::string, json>> saved;
  for (int i = 0; i < 40; ++i) {
    const Input input = Score(1.0 + 0.01 * i, 5, "c" + std::to_string(i));
    saved.emplace_back(store.Save(input).hash, json::parse(input.text));
  }
  for (const auto& [hash, body] : saved) REQUIRE(json::parse(store.Read(hash)) == body);
  const Store::Usage usage = store.Size();
  CHECK(usage.objects == 40);
  CHECK(usage.stored_bytes * 5 < usage.full_bytes);  // one whole text per 17 objects, the rest a single changed number
}

TEST_CASE("the scenario and the profile are parents, and so is what the caller names", "[store]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  const Entry prediction = store.Save(Prediction(1.5));
  std::vector<std::string> kinds;
  for (const auto& parent : store.ParentsOf(prediction.hash)) kinds.push_back(parent.kind);
  CHECK(kinds == std::vector<std::string>{"profile", "scenario"});
  const Entry comparison =
      store.Save({"c.json", R"({"kind":"comparison","predicted_s":1})"}, {prediction.hash.substr(0, 10)});
  REQUIRE(store.ParentsOf(comparison.hash).size() == 1);
  CHECK(store.ParentsOf(comparison.hash)[0].hash == prediction.hash);
}

TEST_CASE("a regression names the commit and the rows that it moved", "[history]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  store.Save(Score(1.0, 5, "aaaa"));
  store.Save(Score(1.0, 5, "bbbb"));
  store.Save(Score(1.5, 6.25, "cccc"));
  const auto movements = Movements(store);
  REQUIRE(movements.size() == 1);
  const Movement& m = movements[0];
  CHECK(m.before.commit == "bbbb");
  CHECK(m.after.commit == "cccc");
  REQUIRE(m.changes.size() == 2);
  CHECK(m.changes[0].path == "/rows/row_7/predicted_s");
  CHECK(m.changes[0].before == "1.0");
  CHECK(m.changes[0].after == "1.5");
  CHECK(m.changes[0].relative == Approx(0.5));
  CHECK(m.regression == "/families/bloom held_out/mape_pct 5.0 -> 6.25");
}

TEST_CASE("an improvement is a movement and no regression", "[history]") {
  const isochrone::tests::Folder folder;
  Store store(folder / "s.db");
  store.Save(Score(1.0, 5, "a"));
  store.Save(Score(1.5, 4, "b"));
  REQUIRE(Movements(store).size() == 1);
  CHECK(Movements(store)[0].regression.empty());
}

TEST_CASE("an inserted row moves no other", "[history]") {
  const char* before = R"({"rows":[{"id":"a","predicted_s":1},{"id":"b","predicted_s":2}]})";
  const char* after =
      R"({"rows":[{"id":"new","predicted_s":9},{"id":"a","predicted_s":1},{"id":"b","predicted_s":2}]})";
  const auto changes = Differences(before, after);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].path == "/rows/new/id");
  CHECK(changes[1].path == "/rows/new/predicted_s");
  CHECK(changes[1].before.empty());
}

TEST_CASE("numbers within the tolerance are equal", "[history]") {
  CHECK(Differences(R"({"a":1.0})", R"({"a":1.0001})", 1e-3).empty());
  CHECK(Differences(R"({"a":1.0})", R"({"a":1.01})", 1e-3).size() == 1);
}

TEST_CASE("a store that is none, a hash that is none and a damaged object are named", "[store]") {
  const isochrone::tests::Folder folder;
  std::ofstream(folder / "s.db") << "this is no database, and it is long enough to be read as one: "
                                 << std::string(200, 'x');
  CHECK_THROWS_AS(Store(folder / "s.db"), isochrone::Error);
  std::filesystem::remove(folder / "s.db");
  Store store(folder / "s.db");
  CHECK_THROWS_AS(store.Read("abc"), isochrone::Error);
  const Entry entry = store.Save({"n", R"({"kind":"network","load":1})"});
  Database(folder / "s.db").Run("UPDATE objects SET body = '{\"kind\":\"network\",\"load\":2}'");
  CHECK_THROWS_WITH(store.Read(entry.hash), Catch::Contains("is damaged"));
}
