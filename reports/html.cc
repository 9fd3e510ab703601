#include "reports/html.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "reports/pack.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;

/// `body` with its long lists packed.
json Packed(const json& body) {
  json out = json::object();
  for (const auto& [key, value] : body.items()) {
    if (key == "timeline" && value.is_object()) {
      out[key] = PackTimeline(value, kMostSpans);
    } else if (key == "results" && value.is_array()) {
      out[key] = PackRows(value, kMostConfigurations);
    } else if (key == "memory_over_time" && value.is_array()) {
      out[key] = PackMemoryOverTime(value);
    } else {
      out[key] = value;
    }
  }
  return out;
}

}  // namespace

std::string EmbeddableJson(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (c == '<') out += "\\u003c";
    else if (c == '>') out += "\\u003e";
    else if (c == '&') out += "\\u0026";
    else out += c;
  }
  return out;
}

std::string RenderHtml(const std::vector<Answer>& answers, const ReportOptions& options) {
  if (kPage.empty()) {
    throw Error("this build of isochrone", "has no page to put the answers in: " + std::string(kWhyNoPage),
                "install npm and build again, or write the report as .md or .csv");
  }
  json list = json::array();
  for (const Answer& answer : answers) list.push_back({{"name", answer.name}, {"answer", Packed(answer.Body())}});
  const json data = {{"title", options.title}, {"command", options.command}, {"answers", std::move(list)}};
  const std::size_t mark = kPage.find(kDataMark);
  ISO_CHECK(mark != std::string_view::npos);
  std::string out(kPage.substr(0, mark));
  out += EmbeddableJson(data);
  out += kPage.substr(mark + kDataMark.size());
  return out;
}

}  // namespace isochrone::reports
