#include "reports/answer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::reports {

namespace {

const nlohmann::json kNothing;

void FlattenInto(const nlohmann::json& object, const std::string& path, nlohmann::json& out) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) continue;
    const bool taken = out.contains(key);
    out[taken ? path + key : key] = value;
  }
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) FlattenInto(value, path + key + ".", out);
  }
}

}  // namespace

bool LooksLikeAnswer(std::string_view text) { return Json::HasMember(text, "kind"); }

const std::vector<std::string>& AnswerKinds() {
  static const std::vector<std::string> kinds = {"prediction", "run",        "sweep",   "score",  "inference_score",
                                                 "comparison", "generation", "serving", "advise", "network"};
  return kinds;
}

Answer ReadAnswer(const Input& input) {
  const Json document = Json::Text(input.text, input.name);
  auto body = std::make_shared<const nlohmann::json>(document.Raw());
  const std::string kind = TextOf(*body, "kind");
  const auto& kinds = AnswerKinds();
  if (!body->is_object() || kind.empty()) {
    throw Error(input.name, "lacks the key \"kind\", so it is no answer of a verb",
                "make it with --json, for example isochrone predict SCENARIO --json > answer.json");
  }
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    throw Error(input.name + ": /kind = \"" + kind + "\"", "is not a kind that a report can show",
                "give " + JoinedWith(kinds, "or"));
  }
  return Answer{input.name, kind, std::move(body)};
}

const nlohmann::json& Member(const nlohmann::json& object, std::string_view key) {
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::optional<double> NumberOf(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& value = Member(object, key);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::string TextOf(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& value = Member(object, key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_primitive() && !value.is_null() ? value.dump() : "";
}

nlohmann::json FlattenedRow(const nlohmann::json& row) {
  if (!row.is_object()) return nlohmann::json{{"value", row}};
  nlohmann::json out = nlohmann::json::object();
  FlattenInto(row, "", out);
  return out;
}

}  // namespace isochrone::reports
