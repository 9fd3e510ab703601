#include "reports/result_table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "base/error.h"
#include "reports/sqlite.h"

namespace isochrone::reports {
namespace {

using nlohmann::ordered_json;

std::string ColumnOf(std::string key) {
  if (key.starts_with("/")) key.erase(0, 1);
  std::replace(key.begin(), key.end(), '/', '_');
  std::replace(key.begin(), key.end(), '"', '_');
  return key;
}

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

ordered_json Parsed(const std::string& line, const std::string& place) {
  try {
    return ordered_json::parse(line);
  } catch (const ordered_json::exception&) {
    throw Error(place, "is damaged", "run the sweep again with --resume");
  }
}

void Bind(Statement& insert, int at, const ordered_json& value) {
  if (value.is_number_float()) insert.BindReal(at, value.get<double>());
  else if (value.is_number()) insert.Bind(at, value.get<std::int64_t>());
  else if (value.is_boolean()) insert.Bind(at, std::int64_t{value.get<bool>() ? 1 : 0});
  else if (value.is_string()) insert.Bind(at, value.get_ref<const std::string&>());
  else insert.BindNothing(at);
}

void CreateTable(const Database& database, const std::vector<std::string>& keys) {
  std::string columns;
  for (const std::string& key : keys) columns += (columns.empty() ? "" : ", ") + Quoted(ColumnOf(key));
  database.Run("CREATE TABLE results (" + columns + ")");
}

Statement InsertInto(const Database& database, std::size_t columns) {
  std::string places = "?";
  for (std::size_t i = 1; i < columns; ++i) places += ", ?";
  return database.Prepare("INSERT INTO results VALUES (" + places + ")");
}

void Fill(const std::string& results, const Database& database) {
  std::ifstream in(results, std::ios::binary);
  std::string line;
  if (!std::getline(in, line)) throw Error(results, "holds no results", "name a file that a sweep wrote");
  std::vector<std::string> keys;
  std::optional<Statement> insert;
  for (std::int64_t number = 2; std::getline(in, line); ++number) {
    const ordered_json row = Parsed(line, results + ", line " + std::to_string(number));
    if (row.contains("complete")) return;
    if (!insert) {
      for (const auto& [key, value] : row.items()) keys.push_back(key);
      CreateTable(database, keys);
      insert.emplace(InsertInto(database, keys.size()));
    }
    int at = 0;
    for (const auto& [key, value] : row.items()) Bind(*insert, ++at, value);
    insert->Step();
    insert->Reset();
  }
  throw Error(results, "is not complete", "go on with it: --resume");
}

}  // namespace

void WriteResultTable(const std::string& results, const std::string& path) {
  const std::string part = path + ".part";
  std::remove(part.c_str());
  try {
    const Database database(part);
    database.Run("PRAGMA journal_mode = OFF");
    database.Run("BEGIN");
    Fill(results, database);
    database.Run("COMMIT");
  } catch (...) {
    std::remove(part.c_str());
    throw;
  }
  std::error_code failed;
  std::filesystem::rename(part, path, failed);
  if (failed) throw Error("--sqlite " + path, "cannot be written: " + failed.message(), "name another file");
}

}  // namespace isochrone::reports
