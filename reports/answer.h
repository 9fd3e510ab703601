#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "reports/report.h"

namespace isochrone::reports {

/// A parsed input. `kind` is one of AnswerKinds().
struct Answer {
  std::string name;
  std::string kind;
  const nlohmann::json& Body() const { return *body; }
  std::shared_ptr<const nlohmann::json> body;
};

/// What the verbs print: prediction, run, sweep, score, …
const std::vector<std::string>& AnswerKinds();

/// Parses strictly (unique keys, no NaN). Throws Error naming the input and what a verb would have printed.
Answer ReadAnswer(const Input& input);

// --- tolerant reading: an answer may lack any key but `kind`; a view then says what is missing ---------------------

/// The member, or a null where `object` is no object or lacks it.
const nlohmann::json& Member(const nlohmann::json& object, std::string_view key);
std::optional<double> NumberOf(const nlohmann::json& object, std::string_view key);
/// A string as it is, a number or a boolean as text, anything else empty.
std::string TextOf(const nlohmann::json& object, std::string_view key);

/// The objects of a list with nested objects opened up: {"strategy": {"tensor": 8}} becomes {"tensor": 8}; where two
/// leaves share a name, the nested one keeps its path ("strategy.tensor").
nlohmann::json FlattenedRow(const nlohmann::json& row);

}  // namespace isochrone::reports
