#include "costmodel/calibrate/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::costmodel {

namespace {

/// A cell may stand in double quotes, which are then doubled inside it.
std::vector<std::string> Cells(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '"' && i + 1 < line.size() && line[i + 1] == '"') cells.back() += line[i++];
    else if (line[i] == '"' && (quoted || cells.back().empty())) quoted = !quoted;
    else if (line[i] == ',' && !quoted) cells.emplace_back();
    else cells.back() += line[i];
  }
  return cells;
}

}  // namespace

Csv ReadCsv(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(path, "cannot be read", "give a CSV file; unpack .gz files first");
  Csv csv;
  csv.file = path;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line == "\r") continue;
    if (line[0] == '#') {
      csv.comments.push_back(line.substr(std::min(line.find_first_not_of("# "), line.size())));
    } else if (csv.header.empty()) {
      csv.header = Cells(line);
    } else {
      csv.rows.push_back(Cells(line)), csv.lines.push_back(number);
      if (csv.rows.back().size() != csv.header.size())
        throw Error(path + ":" + std::to_string(number), "has " + std::to_string(csv.rows.back().size()) + " cells",
                    "give " + std::to_string(csv.header.size()) + ", one per column of the header");
    }
  }
  if (csv.header.empty()) throw Error(path, "has no header line", "name the columns in the first line");
  return csv;
}

bool Csv::Has(const std::string& column) const {
  return std::find(header.begin(), header.end(), column) != header.end();
}

std::size_t Csv::Column(const std::string& column) const {
  const auto it = std::find(header.begin(), header.end(), column);
  if (it == header.end()) {
    const std::string near = Nearest(column, header);
    throw Error(file, "lacks the column \"" + column + "\"",
                near.empty() ? "it has " + JoinedWith(header, "and") : "is \"" + near + "\" meant?");
  }
  return static_cast<std::size_t>(it - header.begin());
}

double Csv::Number(std::size_t row, std::size_t column, double least, double absent) const {
  return Text(row, column).empty() ? absent : Number(row, column, least);
}

double Csv::Number(std::size_t row, std::size_t column, double least) const {
  const std::string& text = Text(row, column);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < least)
    throw Error(file + ":" + std::to_string(lines[row]) + ": " + header[column] + " = \"" + text + "\"",
                "is no number that would do", "give a number of at least " + std::to_string(least));
  return value;
}

}  // namespace isochrone::costmodel
