#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace isochrone {

/// A place in a JSON document that knows its path. Every message says file, path and value. Reading is strict:
/// numbers are finite and in range, integers are integers, keys are unique, and `Done` refuses keys nobody read.
///
/// Cheap to copy; the document lives as long as any Json into it.
class Json {
 public:
  /// Reads a file. Throws Error on a missing file, a directory, more than `max_bytes`, bad syntax (with line and
  /// column), nesting deeper than 64, duplicate keys, or a top level that is no object or array. Messages call the
  /// file `name`, or by its path.
  static Json File(const std::string& path, std::size_t max_bytes = std::size_t{256} << 20,
                   const std::string& name = "");
  /// The text of a file, with the same care.
  static std::string FileText(const std::string& path, std::size_t max_bytes, const std::string& name);
  static Json Text(std::string_view text, const std::string& name);
  /// Whether `text` is an object with this member. Reads no further than it, so a large document costs nothing; of what
  /// is no JSON, false.
  static bool HasMember(std::string_view text, std::string_view key);

  bool IsObject() const;
  bool IsArray() const;
  bool IsString() const;
  bool IsNumber() const;
  bool IsBool() const;
  bool IsNull() const;

  // --- objects -------------------------------------------------------------------------------------------------
  bool Has(std::string_view key) const;
  /// The member, or an Error that names the missing key and the nearest present one.
  Json At(std::string_view key) const;
  /// The member, or nothing when absent. A present null is an error.
  std::optional<Json> Find(std::string_view key) const;
  std::vector<std::string> Keys() const;
  /// Throws for the first key that is not among `known`, with the nearest known one.
  void Allow(const std::vector<std::string>& known) const;

  // --- arrays --------------------------------------------------------------------------------------------------
  std::size_t Size() const;
  Json At(std::size_t index) const;
  std::vector<Json> Items() const;

  // --- leaves; each throws Error with the path, the value and the range that would do -----------------------------
  std::string String() const;
  bool Bool() const;
  std::int64_t Int(std::int64_t least, std::int64_t most) const;
  double Number(double least, double most) const;
  /// One of `names`, as its index; an Error suggests the nearest.
  std::size_t OneOf(const std::vector<std::string>& names) const;

  /// "file.json: /strategy/tensor = 10"; containers print no value.
  std::string Where() const;
  const std::string& FileName() const;
  const nlohmann::json& Raw() const;
  [[noreturn]] void Fail(const std::string& what, const std::string& instead = "") const;

 private:
  struct Document;
  Json(std::shared_ptr<const Document> document, const nlohmann::json* value, std::string path);

  std::shared_ptr<const Document> document_;
  const nlohmann::json* value_;
  std::string path_;
};

/// The candidate nearest to `word` by edit distance, or "" when none is near (distance over a third of its length).
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b or c"
std::string JoinedWith(const std::vector<std::string>& words, std::string_view last);

}  // namespace isochrone
