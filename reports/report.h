#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace isochrone::reports {

/// One answer: the JSON that a verb printed with --json, and the file or label that it goes by.
struct Input {
  std::string name;
  std::string text;
};

/// Whether `text` is a JSON object with a member "kind", which every answer has and no scenario. Reads no further than
/// that member, so a large answer costs nothing.
bool LooksLikeAnswer(std::string_view text);

enum class Format { kHtml, kMarkdown, kCsv, kChromeTrace, kSpeedscope };

/// By what `path` ends in: .html, .md, .csv, .trace.json (Chrome JSON, for Perfetto), .speedscope.json. Throws Error
/// naming these otherwise.
Format FormatOf(std::string_view path);

struct ReportOptions {
  std::string title;    // empty: taken from the first answer's question or name
  std::string command;  // that makes this report again; printed under it
};

/// Any set of answers as one document. The `kind` key of each answer says what it is, one of AnswerKinds(). The same
/// inputs give the same bytes.
///
/// Throws  Error for an input that is no JSON object, has no known `kind`, or has nothing that `format` can show
///         (a trace needs a timeline); for kHtml also when this build has no page.
std::string RenderReport(const std::vector<Input>& inputs, Format format, const ReportOptions& options = {});

/// Why this build cannot make HTML; empty where it can.
std::string_view WhyNoPage();

}  // namespace isochrone::reports
