#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace isochrone::reports {

class Database;

/// A prepared statement. Values are bound from 1, columns read from 0, as in SQLite.
class Statement {
 public:
  Statement& Bind(int at, std::string_view text);
  Statement& Bind(int at, std::int64_t value);
  Statement& BindReal(int at, double value);
  Statement& BindNothing(int at);
  /// Ready to be bound and stepped again.
  void Reset();
  /// True while there is a row. Throws Error with SQLite's words.
  bool Step();
  std::string Text(int column) const;
  std::int64_t Int(int column) const;

 private:
  friend class Database;
  Statement(const Database* database, sqlite3_stmt* statement);
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// An SQLite file. Waits up to five seconds for another process that writes.
class Database {
 public:
  /// Opens, or creates. Throws Error where the path is no database.
  explicit Database(std::string path);

  Statement Prepare(const std::string& sql) const;
  void Run(const std::string& sql) const;
  [[noreturn]] void Fail() const;
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace isochrone::reports
