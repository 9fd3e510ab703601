#pragma once

#include <string>
#include <vector>

#include "reports/answer.h"
#include "reports/report.h"

namespace isochrone::reports {

/// The page with the answers inside: one file, opens without a network. Only the page's own script may run: the policy
/// in its head names that script by hash, and the answers are data that no parser of HTML or JavaScript can leave.
std::string RenderHtml(const std::vector<Answer>& answers, const ReportOptions& options);

/// `value` as JSON of plain ASCII without <, > and &, so that it may stand between <script> and </script>. Bytes that
/// are no UTF-8 become U+FFFD.
std::string EmbeddableJson(const nlohmann::json& value);

/// The page as it was built, with kDataMark where the answers go; empty in a build without it.
extern const std::string_view kPage;
extern const std::string_view kWhyNoPage;
inline constexpr std::string_view kDataMark = "\"isochrone answers go here\"";

}  // namespace isochrone::reports
