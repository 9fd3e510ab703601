#pragma once

#include <string>
#include <vector>

#include "reports/answer.h"
#include "reports/report.h"

namespace isochrone::reports {

/// What the page says, as Markdown with tables. Of a table longer than kMostMarkdownRows the first rows stay, with a
/// note. Texts are escaped: none can end a cell, start a heading or carry HTML.
std::string RenderMarkdown(const std::vector<Answer>& answers, const ReportOptions& options);

/// Every table of the answers as RFC 4180, all digits kept. Each starts with a line "# answer: question", then its
/// column names, and ends with an empty line. A text that a spreadsheet would run as a formula gets a leading '.
std::string RenderCsv(const std::vector<Answer>& answers);

inline constexpr std::size_t kMostMarkdownRows = 200;

}  // namespace isochrone::reports
