#include "reports/history.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "reports/answer.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;

constexpr std::size_t kNamedChanges = 3;

/// What an item of a list is called: its id or name, with what tells equal names apart.
std::string KeyOf(const json& item, std::size_t index) {
  if (!item.is_object()) return std::to_string(index);
  std::string key;
  for (const char* part : {"id", "name", "family", "role", "phase", "program", "stage"}) {
    const std::string text = TextOf(item, part);
    if (!text.empty()) key += (key.empty() ? "" : " ") + text;
  }
  return key.empty() ? std::to_string(index) : key;
}

void CollectLeaves(const json& value, const std::string& path, std::map<std::string, json>& out) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) CollectLeaves(inner, path + "/" + key, out);
  } else if (value.is_array()) {
    std::map<std::string, int> seen;
    std::size_t index = 0;
    for (const json& item : value) {
      const std::string key = KeyOf(item, index++);
      const int times = seen[key]++;
      CollectLeaves(item, path + "/" + key + (times > 0 ? " #" + std::to_string(times + 1) : ""), out);
    }
  } else {
    out[path] = value;
  }
}

std::map<std::string, json> LeavesOf(std::string_view text) {
  json body = json::parse(text.begin(), text.end());
  for (const char* key : {"provenance", "elapsed_s", "configurations_per_s", "timeline"}) body.erase(key);
  std::map<std::string, json> leaves;
  CollectLeaves(body, "", leaves);
  return leaves;
}

std::string Printed(const json* value) {
  if (value == nullptr) return "";
  return value->is_string() ? value->get<std::string>() : value->dump(-1, ' ', false, json::error_handler_t::replace);
}

bool Equal(const json& a, const json& b, double tolerance) {
  if (!a.is_number() || !b.is_number()) return a == b;
  const double x = a, y = b;
  return std::abs(x - y) <= tolerance * std::max(std::abs(x), std::abs(y));
}

Change ChangeOf(const std::string& path, const json* before, const json* after) {
  Change change{path, Printed(before), Printed(after), 0};
  if (before && after && before->is_number() && after->is_number() && before->get<double>() != 0) {
    change.relative = after->get<double>() / before->get<double>() - 1;
  }
  return change;
}

const json* Find(const std::map<std::string, json>& leaves, const std::string& path) {
  const auto found = leaves.find(path);
  return found == leaves.end() ? nullptr : &found->second;
}

bool EndsWith(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string RegressionOf(const std::string& kind, const std::vector<Change>& changes, double tolerance) {
  std::string out;
  for (const Change& change : changes) {
    if (change.before.empty() || change.after.empty()) continue;
    const bool error_grew = kind == "score" && change.path.rfind("/families/", 0) == 0 &&
                            EndsWith(change.path, "/mape_pct") &&
                            std::atof(change.after.c_str()) - std::atof(change.before.c_str()) > kErrorGrowthPct;
    const bool slower = kind == "run" && change.path == "/step_time_s" && change.relative > tolerance;
    if (!error_grew && !slower) continue;
    out += (out.empty() ? "" : "; ") + change.path + " " + change.before + " -> " + change.after;
  }
  return out;
}

std::string Named(const Entry& entry) {
  return (entry.version.empty() ? "?" : entry.version) + (entry.commit.empty() ? "" : " " + entry.commit.substr(0, 12));
}

}  // namespace

std::vector<Change> Differences(std::string_view before, std::string_view after, double tolerance) {
  const auto old_leaves = LeavesOf(before), new_leaves = LeavesOf(after);
  std::set<std::string> paths;
  for (const auto& [path, value] : old_leaves) paths.insert(path);
  for (const auto& [path, value] : new_leaves) paths.insert(path);
  std::vector<Change> out;
  for (const std::string& path : paths) {
    const json *a = Find(old_leaves, path), *b = Find(new_leaves, path);
    if (a && b && Equal(*a, *b, tolerance)) continue;
    out.push_back(ChangeOf(path, a, b));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Change& a, const Change& b) { return std::abs(a.relative) > std::abs(b.relative); });
  return out;
}

std::vector<Movement> Movements(const Store& store, double tolerance, std::string_view subject) {
  std::map<std::pair<std::string, std::string>, Entry> last;
  std::vector<Movement> out;
  for (const Entry& entry : store.List("", subject)) {
    const auto key = std::pair(entry.kind, entry.subject);
    const auto before = last.find(key);
    if (before != last.end() && before->second.hash != entry.hash) {
      Movement movement{before->second, entry,
                        Differences(store.Read(before->second.hash), store.Read(entry.hash), tolerance), ""};
      movement.regression = RegressionOf(entry.kind, movement.changes, tolerance);
      if (!movement.changes.empty()) out.push_back(std::move(movement));
    }
    last[key] = entry;
  }
  return out;
}

Table MovementTable(const std::vector<Movement>& movements) {
  Table table({{"subject", "question", "", Align::kLeft},
               {"kind", "kind", "", Align::kLeft},
               {"before", "from", "", Align::kLeft},
               {"after", "to", "", Align::kLeft},
               {"moved", "values moved"},
               {"worst", "worst first", "", Align::kLeft},
               {"regression", "worse", "", Align::kLeft}});
  for (const Movement& m : movements) {
    std::string worst;
    for (std::size_t i = 0; i < std::min(m.changes.size(), kNamedChanges); ++i) {
      const Change& change = m.changes[i];
      worst += (worst.empty() ? "" : "; ") + change.path + " " + change.before + " -> " + change.after;
      if (change.relative != 0) worst += " (" + Percent(change.relative) + ")";
    }
    table.AddRow({m.after.subject, m.after.kind, Named(m.before), Named(m.after),
                  static_cast<std::int64_t>(m.changes.size()), worst, m.regression});
  }
  return table;
}

}  // namespace isochrone::reports
