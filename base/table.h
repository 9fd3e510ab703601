#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace isochrone {

enum class Align { kLeft, kRight };

/// A column: its key is for programs and spells its unit ("step_time_s"), title and unit are for people ("step time",
/// "s").
struct Column {
  std::string key;
  std::string title;
  std::string unit = "";
  Align align = Align::kRight;
};

/// A number: people see `decimals` of it, programs all of it.
struct Number {
  double value = 0;
  int decimals = 2;
};

/// Nothing known ("-" for people, empty in CSV, null in JSON), a text, a whole number or a number.
using Cell = std::variant<std::monostate, std::string, std::int64_t, Number>;

/// Rows under named columns, printed in four ways. The text forms are for people, CSV and JSON for programs.
class Table {
 public:
  explicit Table(std::vector<Column> columns);

  /// Requires one cell per column.
  void AddRow(std::vector<Cell> cells);

  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }

  /// Aligned text of at most `width` columns, 0 for no limit. Where it is too wide, the widest left-aligned columns
  /// wrap first, then titles; numbers never break, so a table of many numbers may exceed a narrow terminal.
  std::string Text(int width = 0) const;
  /// A table of GitHub-flavoured Markdown.
  std::string Markdown() const;
  /// RFC 4180: keys in the first line, lines end in CR LF. An empty text is "", nothing is nothing.
  std::string Csv() const;
  /// An array of objects by key, in the order of the columns.
  std::string Json() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace isochrone
