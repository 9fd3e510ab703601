#include "reports/pack.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace isochrone::reports;

namespace {

std::string FromBase64(const std::string& text) {
  static const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned group = 0;
  int bits = 0;
  for (char c : text) {
    if (c == '=') break;
    group = group << 6 | static_cast<unsigned>(letters.find(c));
    bits += 6;
    if (bits >= 8) out += static_cast<char>(group >> (bits -= 8) & 255u);
  }
  return out;
}

/// A packed column as JSON values: a second reading of the format, beside the page's.
std::vector<json> Unpacked(const json& column, std::size_t rows) {
  std::vector<json> out;
  if (column.contains("values")) return column["values"].get<std::vector<json>>();
  const std::string bytes = FromBase64(column.value("data", ""));
  if (column.contains("dictionary")) {
    const int width = column["bits"].get<int>() / 8;
    for (std::size_t i = 0; i < rows; ++i) {
      std::uint16_t index = 0;
      std::memcpy(&index, bytes.data() + i * static_cast<std::size_t>(width), static_cast<std::size_t>(width));
      out.push_back(column["dictionary"][index]);
    }
  } else if (column.contains("varint")) {
    std::size_t at = 0;
    std::int64_t last = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      std::uint64_t value = 0;
      int shift = 0;
      unsigned char byte = 0;
      do {
        byte = static_cast<unsigned char>(bytes[at++]);
        value |= std::uint64_t{byte & 0x7fu} << shift;
        shift += 7;
      } while (byte & 0x80);
      const auto signed_value = static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
      last = column["delta"] ? last + signed_value : signed_value;
      out.push_back(static_cast<double>(last) * column["varint"].get<double>());
    }
  } else if (column["float"] == 64) {
    for (std::size_t i = 0; i < rows; ++i) {
      double value = 0;
      std::memcpy(&value, bytes.data() + 8 * i, 8);
      out.push_back(value);
    }
  } else {
    for (std::size_t i = 0; i < rows; ++i) {
      float value = 0;
      std::memcpy(&value, bytes.data() + 4 * i, 4);
      out.push_back(value);
    }
  }
  return out;
}

json Configurations(int count) {
  json rows = json::array();
  for (int i = 0; i < count; ++i) {
    rows.push_back({{"strategy", {{"tensor", 1 << (i % 4)}, {"schedule", i % 2 ? "1f1b" : "zb_h1"}}},
                    {"step_time_s", 1 + 0.001 * ((i * 7919) % count)},
                    {"always", 5}});
  }
  return rows;
}

}  // namespace

TEST_CASE("base64 is that of RFC 4648", "[pack]") {
  CHECK(Base64("") == "");
  CHECK(Base64("f") == "Zg==");
  CHECK(Base64("fo") == "Zm8=");
  CHECK(Base64("foo") == "Zm9v");
  CHECK(Base64("foobar") == "Zm9vYmFy");
}

TEST_CASE("rows packed as columns read back as they were, nested keys by their last word", "[pack]") {
  for (int count : {1, 300, 6000}) {
    const json rows = Configurations(count);
    const json packed = PackRows(rows, 10'000);
    REQUIRE(packed["rows"] == count);
    CHECK(packed["omitted"] == 0);
    const auto n = static_cast<std::size_t>(count);
    const auto tensor = Unpacked(packed["columns"]["tensor"], n);
    const auto schedule = Unpacked(packed["columns"]["schedule"], n);
    const auto time = Unpacked(packed["columns"]["step_time_s"], n);
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(tensor[i] == rows[i]["strategy"]["tensor"]);
      REQUIRE(schedule[i] == rows[i]["strategy"]["schedule"]);
      REQUIRE(time[i] == rows[i]["step_time_s"]);
    }
    CHECK(Unpacked(packed["columns"]["always"], n).back() == 5);
  }
}

TEST_CASE("of too many rows the fastest stay and the page says how many went", "[pack]") {
  const json packed = PackRows(Configurations(1000), 100);
  CHECK(packed["rows"] == 100);
  CHECK(packed["omitted"] == 900);
  const auto time = Unpacked(packed["columns"]["step_time_s"], 100);
  for (int place = 0; place < 50; ++place) CHECK(std::count(time.begin(), time.end(), json(1 + 0.001 * place)) == 1);
}

TEST_CASE("above 10,000 rows fractions keep seven digits", "[pack]") {
  const json rows = Configurations(20'000);
  const json packed = PackRows(rows, 30'000);
  CHECK(packed["single_precision"] == true);
  const auto time = Unpacked(packed["columns"]["step_time_s"], 20'000);
  for (std::size_t i = 0; i < time.size(); i += 997) {
    CHECK(time[i].get<double>() == Approx(rows[i]["step_time_s"].get<double>()).epsilon(1e-7));
  }
}

TEST_CASE("a timeline's spans are sorted by rank, stream and start, to the nanosecond", "[pack]") {
  const json timeline = {{"ranks", "pipeline"},
                         {"rank_count", 2},
                         {"columns", {"rank", "stream", "kind", "phase", "start_s", "duration_s"}},
                         {"spans",
                          {{1, "compute", "task", "forward", 2.5, 0.25},
                           {0, "pipeline", "message", "forward", 1.0, 0.125},
                           {0, "compute", "task", "backward", 3.000000001, 0.5},
                           {0, "compute", "task", "forward", 0.0, 1.0}}}};
  const json packed = PackTimeline(timeline, 100)["packed"];
  CHECK(packed["rows"] == 4);
  CHECK(Unpacked(packed["columns"]["rank"], 4) == std::vector<json>{0, 0, 0, 1});
  CHECK(Unpacked(packed["columns"]["stream"], 4) == std::vector<json>{"compute", "compute", "pipeline", "compute"});
  CHECK(Unpacked(packed["columns"]["start_s"], 4) == std::vector<json>{0.0, 3.000000001, 1.0, 2.5});
  CHECK(Unpacked(packed["columns"]["duration_s"], 4)[1] == 0.5);
}

TEST_CASE("of too many spans whole ranks go", "[pack]") {
  json timeline = {{"columns", {"rank", "stream", "start_s", "duration_s"}}, {"spans", json::array()}};
  for (int rank = 0; rank < 100; ++rank) {
    for (int i = 0; i < 10; ++i) timeline["spans"].push_back({rank, "compute", i, 1});
  }
  const json packed = PackTimeline(timeline, 200)["packed"];
  const auto rows = packed["rows"].get<std::size_t>();
  CHECK(rows <= 200);
  CHECK(rows % 10 == 0);
  CHECK(rows + packed["omitted"].get<std::size_t>() == 1000);
  const auto ranks = Unpacked(packed["columns"]["rank"], rows);
  CHECK(ranks.front() == 0);
  CHECK(ranks.back() == 99);
}

TEST_CASE("thinned memory keeps its peak and its low", "[pack]") {
  json curve = {{"stage", 3}, {"time_s", json::array()}, {"bytes", json::array()}};
  for (int i = 0; i < 50'000; ++i) {
    curve["time_s"].push_back(i);
    curve["bytes"].push_back(i == 31'337 ? 9e9 : i == 777 ? 1.0 : 1e9 + i % 100);
  }
  const json packed = PackMemoryOverTime(json::array({curve}))[0];
  const auto points = packed["points"].get<std::size_t>();
  CHECK(points <= kMostMemoryPoints);
  CHECK(points + packed["omitted"].get<std::size_t>() == 50'000);
  const auto bytes = Unpacked(packed["bytes"], points);
  const auto time = Unpacked(packed["time_s"], points);
  CHECK(std::count(bytes.begin(), bytes.end(), json(9e9)) == 1);
  CHECK(std::count(bytes.begin(), bytes.end(), json(1.0)) == 1);
  CHECK(std::is_sorted(time.begin(), time.end()));
}
