#include "base/json.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace isochrone {

struct Json::Document {
  std::string name;
  nlohmann::json root;
};

namespace {

constexpr int kMaxDepth = 64;

std::string Escaped(std::string_view key) {  // JSON pointer, RFC 6901
  std::string out;
  for (char c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

std::string Shortened(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  constexpr std::size_t kLongest = 60;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "…";
  return text;
}

std::string Plain(double v) {
  std::ostringstream out;
  out.precision(15);
  out << v;
  return out.str();
}

std::string LineAndColumn(std::string_view text, std::size_t byte) {
  const std::size_t end = std::min(byte == 0 ? 0 : byte - 1, text.size());
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
  const std::size_t start = text.rfind('\n', end == 0 ? 0 : end - 1);
  const std::size_t column = start == std::string_view::npos ? end + 1 : end - start;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// A number without fraction, or nothing where 64 bits do not hold it. Exact beyond 2^53, where a double is not.
std::optional<std::int64_t> Whole(const nlohmann::json& value) {
  if (value.is_number_float()) {
    const double v = value.get<double>();
    return v >= -0x1p63 && v < 0x1p63 ? std::optional(static_cast<std::int64_t>(v)) : std::nullopt;
  }
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    return std::nullopt;
  }
  return value.get<std::int64_t>();
}

/// A pass over text that lets everything by. A pass of its own, not the library's filter during parsing, which visits a
/// list again at the end of each of its objects: quadratic.
class Pass : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool start_object(std::size_t) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool key(string_t&) override { return true; }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }
};

/// Refuses deep nesting and repeated keys; leaves malformed text to the pass that builds the document.
class Guard : public Pass {
 public:
  explicit Guard(const std::string& name) : name_(name) {}

  bool start_object(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& key) override {
    if (!keys_.back().insert(key).second) {
      throw Error(name_, "key \"" + key + "\" appears twice in one object", "keep one of them");
    }
    return true;
  }

 private:
  bool Enter() {
    if (static_cast<int>(keys_.size()) > kMaxDepth) {
      throw Error(name_, "nests deeper than " + std::to_string(kMaxDepth) + " levels",
                  "a scenario needs fewer than 10; is this the file you meant?");
    }
    keys_.emplace_back();
    return true;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  const std::string& name_;
  std::vector<std::set<std::string>> keys_;  // of every object (or list, then empty) around this place
};

/// Stops at a member of the outermost object.
class MemberFinder : public Pass {
 public:
  explicit MemberFinder(std::string_view wanted) : wanted_(wanted) {}
  bool found = false;

  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ > 1; }  // an outermost list has no members
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override { return !(found = found || (depth_ == 1 && name == wanted_)); }

 private:
  std::string_view wanted_;
  int depth_ = 0;
};

}  // namespace

Json::Json(std::shared_ptr<const Document> document, const nlohmann::json* value, std::string path)
    : document_(std::move(document)), value_(value), path_(std::move(path)) {}

Json Json::Text(std::string_view text, const std::string& name) {
  auto document = std::make_shared<Document>();
  document->name = name;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw Error(name, "is empty", "write a JSON object, for example scenarios/examples/gpt3_on_64_a100.json");
  }
  try {
    Guard guard(name);
    nlohmann::json::sax_parse(text.begin(), text.end(), &guard);
    document->root = nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& e) {
    const std::string at = LineAndColumn(text, e.byte);
    const bool truncated = e.byte > text.size();
    throw Error(
        name, truncated ? "ends in the middle of a value (" + at + ")" : "is not valid JSON at " + at,
        truncated ? "the file seems cut off; fetch it again" : "check for a missing quote, comma or bracket there");
  } catch (const nlohmann::json::out_of_range&) {  // the parser's only other one: a number overflows
    throw Error(name, "holds a number beyond 1.8e308", "write a finite number");
  }
  const nlohmann::json* root = &document->root;
  if (!root->is_object() && !root->is_array()) {
    throw Error(name, "holds a single " + std::string(root->type_name()), "the file must hold an object in { }");
  }
  return Json(std::move(document), root, "");
}

bool Json::HasMember(std::string_view text, std::string_view key) {
  MemberFinder finder(key);
  nlohmann::json::sax_parse(text.begin(), text.end(), &finder);
  return finder.found;
}

std::string Json::FileText(const std::string& path, std::size_t max_bytes, const std::string& name) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    throw Error(name, std::string("cannot be read: ") + std::strerror(errno), "check the path");
  }
  if (S_ISDIR(info.st_mode)) throw Error(name, "is a directory", "name a .json file inside it");
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode)) {
    throw Error(name, "is not a file", "name a .json file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(name, std::string("cannot be read: ") + std::strerror(errno), "check its permissions");
  std::string text;
  char buffer[1 << 16];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (text.size() > max_bytes) {
      throw Error(name, "is larger than " + std::to_string(max_bytes >> 20) + " MiB",
                  "this is not a file that isochrone reads; check the path");
    }
  }
  return text;
}

Json Json::File(const std::string& path, std::size_t max_bytes, const std::string& name) {
  const std::string& shown = name.empty() ? path : name;
  return Text(FileText(path, max_bytes, shown), shown);
}

bool Json::IsObject() const { return value_->is_object(); }
bool Json::IsArray() const { return value_->is_array(); }
bool Json::IsString() const { return value_->is_string(); }
bool Json::IsNumber() const { return value_->is_number(); }
bool Json::IsBool() const { return value_->is_boolean(); }
bool Json::IsNull() const { return value_->is_null(); }
const nlohmann::json& Json::Raw() const { return *value_; }
const std::string& Json::FileName() const { return document_->name; }

std::string Json::Where() const {
  const std::string place = document_->name + (path_.empty() ? "" : ": " + path_);
  return value_->is_structured() ? place : place + " = " + Shortened(*value_);
}

void Json::Fail(const std::string& what, const std::string& instead) const { throw Error(Where(), what, instead); }

bool Json::Has(std::string_view key) const { return IsObject() && value_->contains(key); }

std::optional<Json> Json::Find(std::string_view key) const {
  if (!IsObject()) Fail("must be an object", "write { … }");
  const auto it = value_->find(key);
  if (it == value_->end()) return std::nullopt;
  return Json(document_, &*it, path_ + "/" + Escaped(key));
}

Json Json::At(std::string_view key) const {
  if (auto found = Find(key)) return *found;
  const std::string nearest = Nearest(key, Keys());
  Fail("lacks the key \"" + std::string(key) + "\"",
       nearest.empty() ? "add \"" + std::string(key) + "\"" : "is \"" + nearest + "\" meant to be it?");
}

std::vector<std::string> Json::Keys() const {
  if (!IsObject()) Fail("must be an object", "write { … }");
  std::vector<std::string> keys;
  for (const auto& item : value_->items()) keys.push_back(item.key());
  return keys;
}

void Json::Allow(const std::vector<std::string>& known) const {
  for (const std::string& key : Keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string nearest = Nearest(key, known);
    At(key).Fail("is not a known key",
                 nearest.empty() ? "known here: " + JoinedWith(known, "and") : "did you mean \"" + nearest + "\"?");
  }
}

std::size_t Json::Size() const {
  if (!IsArray()) Fail("must be an array", "write [ … ]");
  return value_->size();
}

Json Json::At(std::size_t index) const {
  if (index >= Size()) Fail("has only " + std::to_string(Size()) + " items", "count from 0");
  return Json(document_, &(*value_)[index], path_ + "/" + std::to_string(index));
}

std::vector<Json> Json::Items() const {
  std::vector<Json> items;
  for (std::size_t i = 0; i < Size(); ++i) items.push_back(At(i));
  return items;
}

std::string Json::String() const {
  if (!IsString()) Fail("must be a string", "put it in quotes");
  return value_->get<std::string>();
}

bool Json::Bool() const {
  if (!IsBool()) Fail("must be true or false", "write it without quotes");
  return value_->get<bool>();
}

std::int64_t Json::Int(std::int64_t least, std::int64_t most) const {
  const std::string range = "give a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!IsNumber()) Fail("must be a whole number", range);
  if (value_->is_number_float() && value_->get<double>() != std::floor(value_->get<double>())) {
    Fail("must be a whole number", range);
  }
  const std::optional<std::int64_t> v = Whole(*value_);
  if (!v || *v < least || *v > most) Fail("is out of range", range);
  return *v;
}

double Json::Number(double least, double most) const {
  const std::string range = "give a number from " + Plain(least) + " to " + Plain(most);
  if (!IsNumber()) Fail("must be a number", range);
  const double v = value_->get<double>();
  if (!std::isfinite(v) || v < least || v > most) Fail("is out of range", range);
  return v;
}

std::size_t Json::OneOf(const std::vector<std::string>& names) const {
  const std::string word = String();
  const auto it = std::find(names.begin(), names.end(), word);
  if (it != names.end()) return static_cast<std::size_t>(it - names.begin());
  const std::string nearest = Nearest(word, names);
  Fail("is not known here",
       (nearest.empty() ? "" : "did you mean \"" + nearest + "\"? ") + ("known: " + JoinedWith(names, "and")));
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 1;
  for (const std::string& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {  // Levenshtein, one row
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t replace = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string JoinedWith(const std::vector<std::string>& words, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " " + std::string(last) + " " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace isochrone
