#include "base/table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace isochrone {
namespace {

constexpr int kGap = 2;  // spaces between columns

std::string ForPeople(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return Grouped(*whole);
  if (const auto* number = std::get_if<Number>(&cell)) return Fixed(number->value, number->decimals);
  return "-";
}

std::string TitleOf(const Column& column) {
  return column.unit.empty() ? column.title : column.title + " (" + column.unit + ")";
}

int WidestWord(std::string_view text) {
  int widest = 0;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", start), text.size());
    widest = std::max(widest, DisplayWidth(text.substr(start, end - start)));
    start = end + 1;
  }
  return widest;
}

int WidestLine(const std::string& text) {
  int widest = 0;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    widest = std::max(widest, DisplayWidth(std::string_view(text).substr(start, end - start)));
    start = end + 1;
  }
  return widest;
}

/// How wide a column would like to be, and how narrow it may get before its words or numbers break.
struct Extent {
  int least = 1;
  int wanted = 1;
};

Extent ExtentOf(const Column& column, const std::vector<std::vector<Cell>>& rows, std::size_t index) {
  const std::string title = TitleOf(column);
  Extent extent{std::max(1, WidestWord(title)), std::max(1, WidestLine(title))};
  for (const auto& row : rows) {
    const std::string text = ForPeople(row[index]);
    const int width = WidestLine(text);
    const bool may_break = std::holds_alternative<std::string>(row[index]) && column.align == Align::kLeft;
    extent.wanted = std::max(extent.wanted, width);
    extent.least = std::max(extent.least, may_break ? WidestWord(text) : width);
  }
  return extent;
}

/// Takes columns one at a time from the widest that can still give, until all fit into `width`.
std::vector<int> WidthsWithin(int width, const std::vector<Extent>& extents) {
  std::vector<int> widths;
  int total = kGap * static_cast<int>(extents.size() - 1);
  for (const Extent& extent : extents) {
    widths.push_back(extent.wanted);
    total += extent.wanted;
  }
  while (width > 0 && total > width) {
    int widest = -1;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const bool can_give = widths[i] > extents[i].least;
      if (can_give && (widest < 0 || widths[i] > widths[static_cast<std::size_t>(widest)]))
        widest = static_cast<int>(i);
    }
    if (widest < 0) break;  // only numbers and single words are left: they stay whole
    --widths[static_cast<std::size_t>(widest)];
    --total;
  }
  return widths;
}

void AppendStripped(const std::string& line, std::string* out) {
  out->append(line, 0, line.find_last_not_of(' ') + 1);
  *out += '\n';
}

/// One row of texts as lines, each text wrapped into its column.
void AppendRow(const std::vector<std::string>& texts, const std::vector<Column>& columns,
               const std::vector<int>& widths, std::string* out) {
  std::vector<std::vector<std::string>> wrapped;
  std::size_t height = 1;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    wrapped.push_back(Wrapped(texts[i], widths[i]));
    height = std::max(height, wrapped.back().size());
  }
  for (std::size_t h = 0; h < height; ++h) {
    std::string line;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      const std::string part = h < wrapped[i].size() ? wrapped[i][h] : "";
      line += columns[i].align == Align::kLeft ? PaddedRight(part, widths[i]) : PaddedLeft(part, widths[i]);
    }
    AppendStripped(line, out);
  }
}

std::string MarkdownCell(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += "\\|";
    else if (c == '\n') out += "<br>";
    else out += c;
  }
  return out;
}

std::string CsvText(const std::string& text) {
  if (!text.empty() && text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string CsvCell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return CsvText(*text);
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return std::to_string(*whole);
  if (const auto* number = std::get_if<Number>(&cell)) return std::isfinite(number->value) ? Exact(number->value) : "";
  return "";
}

nlohmann::ordered_json JsonCell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return *whole;
  const auto* number = std::get_if<Number>(&cell);
  if (number != nullptr && std::isfinite(number->value)) return number->value;
  return nullptr;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) { ISO_CHECK(!columns_.empty()); }

void Table::AddRow(std::vector<Cell> cells) {
  ISO_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Text(int width) const {
  std::vector<Extent> extents;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    extents.push_back(ExtentOf(columns_[i], rows_, i));
    texts.push_back(TitleOf(columns_[i]));
  }
  const std::vector<int> widths = WidthsWithin(width, extents);
  std::string out;
  AppendRow(texts, columns_, widths, &out);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) out.append(kGap, ' ');
    for (int j = 0; j < widths[i]; ++j) out += "─";
  }
  out += '\n';
  for (const auto& row : rows_) {
    std::transform(row.begin(), row.end(), texts.begin(), ForPeople);
    AppendRow(texts, columns_, widths, &out);
  }
  return out;
}

std::string Table::Markdown() const {
  std::string out = "|", rule = "|";
  for (const Column& column : columns_) {
    out += " " + MarkdownCell(TitleOf(column)) + " |";
    rule += column.align == Align::kLeft ? " --- |" : " ---: |";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : rows_) {
    out += "|";
    for (const Cell& cell : row) out += " " + MarkdownCell(ForPeople(cell)) + " |";
    out += "\n";
  }
  return out;
}

std::string Table::Csv() const {
  std::string out;
  for (std::size_t i = 0; i < columns_.size(); ++i) out += (i > 0 ? "," : "") + CsvText(columns_[i].key);
  out += "\r\n";
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) out += (i > 0 ? "," : "") + CsvCell(row[i]);
    out += "\r\n";
  }
  return out;
}

std::string Table::Json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const auto& row : rows_) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < row.size(); ++i) object[columns_[i].key] = JsonCell(row[i]);
    out.push_back(std::move(object));
  }
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace isochrone
