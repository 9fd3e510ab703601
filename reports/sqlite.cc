#include "reports/sqlite.h"

#include <sqlite3.h>

#include "base/error.h"

namespace isochrone::reports {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Statement::Statement(const Database* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

Statement& Statement::Bind(int at, std::string_view text) {
  if (sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK) {
    database_->Fail();
  }
  return *this;
}

Statement& Statement::Bind(int at, std::int64_t value) {
  if (sqlite3_bind_int64(statement_.get(), at, value) != SQLITE_OK) database_->Fail();
  return *this;
}

Statement& Statement::BindReal(int at, double value) {
  if (sqlite3_bind_double(statement_.get(), at, value) != SQLITE_OK) database_->Fail();
  return *this;
}

void Statement::Reset() { sqlite3_reset(statement_.get()); }

Statement& Statement::BindNothing(int at) {
  if (sqlite3_bind_null(statement_.get(), at) != SQLITE_OK) database_->Fail();
  return *this;
}

bool Statement::Step() {
  const int status = sqlite3_step(statement_.get());
  if (status != SQLITE_ROW && status != SQLITE_DONE) database_->Fail();
  return status == SQLITE_ROW;
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return "";
  return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

std::int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }

Database::Database(std::string path) : path_(std::move(path)) {
  sqlite3* handle = nullptr;
  const int status = sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  handle_.reset(handle);
  if (status != SQLITE_OK) Fail();
  sqlite3_busy_timeout(handle, 5000);
}

Statement Database::Prepare(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK) {
    Fail();
  }
  return Statement(this, statement);
}

void Database::Run(const std::string& sql) const {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) Fail();
}

void Database::Fail() const {
  throw Error(path_, std::string("the store cannot be used: ") + sqlite3_errmsg(handle_.get()),
              "check the path and its permissions, or name another file");
}

}  // namespace isochrone::reports
