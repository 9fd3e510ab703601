#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reports/report.h"
#include "reports/sqlite.h"

namespace isochrone::reports {

/// One saving of an answer. The answer itself is the object `hash`; the same answer saved twice is one object.
struct Entry {
  std::int64_t id = 0;
  std::string hash;     // of the content: of what was answered, not of when, by which version or how fast
  std::string kind;     // one of AnswerKinds()
  std::string subject;  // what was asked: the same in every version, so that versions line up
  std::string name, version, commit, date;
};

/// The first letters of a hash: enough to be unique among millions.
std::string Shortened(const std::string& hash);

/// Answers of many versions in one SQLite file.
///
///   objects   content by SHA-256; a later answer to the same question is kept as its difference (RFC 6902) from the
///   one
///             before where that is smaller, at most kLongestChain differences deep
///   entries   the log: which object was the answer to which subject, with provenance
///   parents   what an object was made from: scenario → profile → prediction → run → comparison
class Store {
 public:
  /// Opens the file, or creates it. Throws Error where it is no store.
  explicit Store(const std::string& path);

  /// Saves an answer, with its scenario and its profile as parents beside `parents` (hashes, or unique beginnings). Its
  /// date is that of its provenance, or else now.
  Entry Save(const Input& input, const std::vector<std::string>& parents = {});

  /// Oldest first; of one kind and subject where given.
  std::vector<Entry> List(std::string_view kind = "", std::string_view subject = "") const;

  /// The answer as JSON, with the provenance of its latest saving. `hash` may be a unique beginning. Throws Error.
  std::string Read(const std::string& hash) const;

  /// Hashes and kinds of what the object was made from.
  struct Parent {
    std::string hash, kind;
  };
  std::vector<Parent> ParentsOf(const std::string& hash) const;

  /// The full hash that begins with `beginning`. Throws Error for none and for several.
  std::string Resolve(const std::string& beginning) const;

  /// Bytes that the objects take, and would take without differences.
  struct Usage {
    std::int64_t objects = 0, stored_bytes = 0, full_bytes = 0;
  };
  Usage Size() const;

  static constexpr int kLongestChain = 16;

 private:
  void SaveObject(const std::string& hash, const std::string& kind, const std::string& subject,
                  const std::string& text);
  std::string Body(const std::string& hash) const;

  Database database_;
};

}  // namespace isochrone::reports
