#include "study/rows.h"

#include "base/error.h"
#include "base/json.h"
#include "study/row_scenario.h"

namespace isochrone::study {
namespace {

std::string TextOr(const Json& object, const char* key, const std::string& absent) {
  const auto value = object.Find(key);
  return value && value->IsString() ? value->String() : absent;
}

std::optional<double> Measured(const Json& row, const char* key) {
  const auto measured = row.Find("measured");
  if (!measured || !measured->IsObject() || !measured->Has(key) || measured->At(key).IsNull()) return std::nullopt;
  return measured->At(key).Number(0, 1e12);
}

std::optional<StageProfile> ProfileOf(const Json& row) {
  if (!row.At("measured").Has("stage_profile_ms")) return std::nullopt;
  const Json profile = row.At("measured").At("stage_profile_ms");
  const auto milliseconds = [&](const char* key) { return Seconds(profile.At(key).Number(0, 1e9) * 1e-3); };
  return StageProfile{milliseconds("T_F"), milliseconds("T_B"), milliseconds("T_W")};
}

void ReadMeasurement(const Json& json, Row& row) {
  if (const auto time = Measured(json, "iter_s")) row.step_time = Seconds(*time);
  if (const auto memory = Measured(json, "memory_gib_reported")) row.memory = Bytes(*memory * kGibi);
  if (row.memory) row.memory_kind = TextOr(json.At("measured"), "memory_kind", "");
  row.stage = ProfileOf(json);
}

/// "/parallel/tp = 3: must divide …" on one line.
std::string OneLine(const Error& error, const std::string& file) {
  std::string text = error.where + ": " + error.fault;
  if (text.starts_with(file + ": ")) text = text.substr(file.size() + 2);
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

Row RowFrom(const Json& json, std::size_t index, NodeCache& nodes) {
  Row row;
  row.id = "row " + std::to_string(index + 1);
  try {
    row.id = TextOr(json, "id", row.id);
    row.family = TextOr(json, "family", "unknown");
    row.source = TextOr(json, "source", "");
    row.locus = TextOr(json, "locus", "");
    if (const auto priority = json.Find("priority")) row.priority = static_cast<int>(priority->Int(0, 100));
    if (const auto list = json.Find("unstated_in_source")) {
      for (const Json& item : list->Items()) row.unstated.push_back(item.String());
    }
    ReadMeasurement(json, row);
    row.scenario = ScenarioOf(json, nodes, row);
  } catch (const Error& error) {
    row.scenario.reset();
    row.reason = OneLine(error, json.FileName());
  }
  return row;
}

}  // namespace

std::vector<Row> ReadRows(const std::string& path) {
  const Json file = Json::File(path);
  if (!file.IsArray()) file.Fail("must be a list of rows", "write [ { \"id\": …, \"model\": … }, … ]");
  std::vector<Row> rows;
  NodeCache nodes;
  const std::vector<Json> items = file.Items();
  rows.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) rows.push_back(RowFrom(items[i], i, nodes));
  return rows;
}

}  // namespace isochrone::study
