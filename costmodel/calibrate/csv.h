#pragma once

#include <string>
#include <vector>

namespace isochrone::costmodel {

/// A text table in memory: comma-separated, cells in double quotes where they hold a comma, # lines on top.
struct Csv {
  std::string file;
  std::vector<std::string> comments, header;
  std::vector<std::vector<std::string>> rows;
  std::vector<int> lines;  // of each row, from 1

  bool Has(const std::string& column) const;
  /// The place of a column; throws Error with the nearest one.
  std::size_t Column(const std::string& column) const;
  const std::string& Text(std::size_t row, std::size_t column) const { return rows[row][column]; }
  /// A finite number of at least `least`; an empty cell is `absent`. Throws Error naming file, line and column.
  double Number(std::size_t row, std::size_t column, double least, double absent) const;
  double Number(std::size_t row, std::size_t column, double least) const;
};

/// Throws Error when the file cannot be read, has no header, or a row has another number of cells than the header.
Csv ReadCsv(const std::string& path);

}  // namespace isochrone::costmodel
