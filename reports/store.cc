#include "reports/store.h"

#include <ctime>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "reports/answer.h"
#include "reports/digest.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;

constexpr int kSchema = 1;
constexpr std::size_t kShownLetters = 12;
constexpr const char* kTables = R"(
  CREATE TABLE IF NOT EXISTS objects (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, base TEXT, depth INTEGER NOT NULL,
                                      body TEXT NOT NULL, full_bytes INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
                                      name TEXT NOT NULL, version TEXT NOT NULL, commit_id TEXT NOT NULL,
                                      date TEXT NOT NULL, made TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS entries_of_subject ON entries (kind, subject, id);
  CREATE TABLE IF NOT EXISTS parents (child TEXT NOT NULL, parent TEXT NOT NULL, PRIMARY KEY (child, parent)) WITHOUT ROWID;
)";

/// What says how an answer was made rather than what it is: the same answer from another commit is the same object.
constexpr const char* kMadeKeys[] = {"provenance", "elapsed_s", "configurations_per_s"};

std::string Canonical(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json Without(json body, const json& keys) {
  for (const auto& [key, value] : keys.items()) body.erase(key);
  return body;
}

json MadeOf(const json& body) {
  json made = json::object();
  for (const char* key : kMadeKeys) {
    if (body.contains(key)) made[key] = body[key];
  }
  return made;
}

/// What stays the same when a question is asked again: the scenario's file, or the input's name, and the fidelity.
std::string SubjectOf(const Answer& answer) {
  const json& body = answer.Body();
  const std::string file = TextOf(Member(body, "scenario"), "file");
  std::string subject = file.empty() ? answer.name : file;
  for (const char* key : {"fidelity", "device", "clock"}) {
    const std::string value = TextOf(body, key);
    if (!value.empty()) subject += " (" + value + ")";
  }
  return subject;
}

/// "2026-11-22T06:05:04Z"
std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

class Transaction {
 public:
  explicit Transaction(const Database& database) : database_(database) { database_.Run("BEGIN IMMEDIATE"); }
  ~Transaction() {
    if (!done_) database_.Prepare("ROLLBACK").Step();
  }
  void Commit() {
    database_.Run("COMMIT");
    done_ = true;
  }

 private:
  const Database& database_;
  bool done_ = false;
};

Entry EntryOf(const Statement& row) {
  return {row.Int(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4), row.Text(5), row.Text(6), row.Text(7)};
}

}  // namespace

std::string Shortened(const std::string& hash) { return hash.substr(0, kShownLetters); }

Store::Store(const std::string& path) : database_(path) {
  Statement version = database_.Prepare("PRAGMA user_version");
  const std::int64_t found = version.Step() ? version.Int(0) : 0;
  if (found > kSchema) {
    throw Error(path, "was written by a newer isochrone (store version " + std::to_string(found) + ")",
                "use that version, or name another file");
  }
  database_.Run(kTables);
  database_.Run("PRAGMA user_version = " + std::to_string(kSchema));
}

void Store::SaveObject(const std::string& hash, const std::string& kind, const std::string& subject,
                       const std::string& text) {
  if (database_.Prepare("SELECT 1 FROM objects WHERE hash = ?").Bind(1, hash).Step()) return;
  std::string base, body = text;
  std::int64_t depth = 0;
  Statement last = database_.Prepare(
      "SELECT o.hash, o.depth FROM entries e JOIN objects o ON o.hash = e.hash "
      "WHERE e.kind = ? AND e.subject = ? ORDER BY e.id DESC LIMIT 1");
  if (last.Bind(1, kind).Bind(2, subject).Step() && last.Int(1) < kLongestChain) {
    std::string difference = Canonical(json::diff(json::parse(Body(last.Text(0))), json::parse(text)));
    if (difference.size() < text.size()) {
      base = last.Text(0);
      depth = last.Int(1) + 1;
      body = std::move(difference);
    }
  }
  Statement insert = database_.Prepare("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)");
  insert.Bind(1, hash).Bind(2, kind).Bind(4, depth).Bind(5, body).Bind(6, static_cast<std::int64_t>(text.size()));
  if (base.empty()) insert.BindNothing(3);
  else insert.Bind(3, base);
  insert.Step();
}

Entry Store::Save(const Input& input, const std::vector<std::string>& parents) {
  const Answer answer = ReadAnswer(input);
  const json made = MadeOf(answer.Body());
  const json& provenance = Member(made, "provenance");
  const std::string text = Canonical(Without(answer.Body(), made));
  Entry entry{0,
              Sha256(text),
              answer.kind,
              SubjectOf(answer),
              answer.name,
              TextOf(provenance, "version"),
              TextOf(provenance, "commit"),
              TextOf(provenance, "date")};
  if (entry.date.empty()) entry.date = Now();
  std::vector<std::string> made_from;
  for (const std::string& parent : parents) made_from.push_back(Resolve(parent));

  Transaction transaction(database_);
  const auto save_part = [&](const char* kind, const json& part) {
    if (part.is_null() || part.empty()) return;
    const std::string body = Canonical({{"kind", kind}, {kind, part}});
    made_from.push_back(Sha256(body));
    SaveObject(made_from.back(), kind, "", body);
  };
  save_part("scenario", Member(answer.Body(), "scenario"));
  save_part("profile", Member(provenance, "profile"));
  SaveObject(entry.hash, entry.kind, entry.subject, text);
  for (const std::string& parent : made_from) {
    database_.Prepare("INSERT OR IGNORE INTO parents VALUES (?, ?)").Bind(1, entry.hash).Bind(2, parent).Step();
  }
  Statement insert = database_.Prepare(
      "INSERT INTO entries (hash, kind, subject, name, version, commit_id, date, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
      "RETURNING id");
  insert.Bind(1, entry.hash).Bind(2, entry.kind).Bind(3, entry.subject).Bind(4, entry.name);
  insert.Bind(5, entry.version).Bind(6, entry.commit).Bind(7, entry.date).Bind(8, Canonical(made));
  insert.Step();
  entry.id = insert.Int(0);
  insert.Step();  // to the end: a pending statement would hold the transaction open
  transaction.Commit();
  return entry;
}

std::vector<Entry> Store::List(std::string_view kind, std::string_view subject) const {
  Statement rows = database_.Prepare(
      "SELECT id, hash, kind, subject, name, version, commit_id, date FROM entries "
      "WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR subject = ?2) ORDER BY id");
  rows.Bind(1, kind).Bind(2, subject);
  std::vector<Entry> out;
  while (rows.Step()) out.push_back(EntryOf(rows));
  return out;
}

std::string Store::Resolve(const std::string& beginning) const {
  Statement rows = database_.Prepare("SELECT hash FROM objects WHERE substr(hash, 1, ?1) = ?2 LIMIT 2");
  rows.Bind(1, static_cast<std::int64_t>(beginning.size())).Bind(2, beginning);
  if (beginning.empty() || !rows.Step()) {
    throw Error(database_.path() + ": " + beginning, "no saved object has a hash that begins so",
                "list what is saved with isochrone store list");
  }
  const std::string hash = rows.Text(0);
  if (rows.Step()) {
    throw Error(database_.path() + ": " + beginning, "several saved objects have a hash that begins so",
                "give more of its letters");
  }
  return hash;
}

std::string Store::Body(const std::string& hash) const {
  Statement row = database_.Prepare("SELECT body, base FROM objects WHERE hash = ?");
  const bool found = row.Bind(1, hash).Step();
  if (!found) throw Error(database_.path() + ": " + hash, "an object that others build on is gone", "restore the file");
  const std::string base = row.Text(1);
  if (base.empty()) return row.Text(0);
  return Canonical(json::parse(Body(base)).patch(json::parse(row.Text(0))));
}

std::string Store::Read(const std::string& beginning) const {
  const std::string hash = Resolve(beginning);
  const std::string text = Body(hash);
  if (Sha256(text) != hash) {
    throw Error(database_.path() + ": " + hash, "is damaged: its content has another hash", "restore the file");
  }
  json body = json::parse(text);
  Statement made = database_.Prepare("SELECT made FROM entries WHERE hash = ? ORDER BY id DESC LIMIT 1");
  if (made.Bind(1, hash).Step()) body.update(json::parse(made.Text(0)));
  return Canonical(body);
}

std::vector<Store::Parent> Store::ParentsOf(const std::string& hash) const {
  Statement rows = database_.Prepare(
      "SELECT p.parent, o.kind FROM parents p JOIN objects o ON o.hash = p.parent WHERE p.child = ? ORDER BY o.kind, "
      "p.parent");
  rows.Bind(1, Resolve(hash));
  std::vector<Parent> out;
  while (rows.Step()) out.push_back({rows.Text(0), rows.Text(1)});
  return out;
}

Store::Usage Store::Size() const {
  Statement row = database_.Prepare(
      "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0), coalesce(sum(full_bytes), 0) FROM objects");
  row.Step();
  return {row.Int(0), row.Int(1), row.Int(2)};
}

}  // namespace isochrone::reports
