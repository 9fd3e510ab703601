#include "reports/report.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "reports/answer.h"
#include "reports/html.h"
#include "reports/text_forms.h"
#include "reports/trace.h"

namespace isochrone::reports {

namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string TitleOf(const std::vector<Answer>& answers) {
  if (answers.empty()) return "An empty report";
  const std::string question = TextOf(Member(answers.front().Body(), "scenario"), "question");
  const std::string first = question.empty() ? answers.front().name : question;
  return answers.size() == 1 ? first : first + " And " + std::to_string(answers.size() - 1) + " more.";
}

const Answer& OnlyOne(const std::vector<Answer>& answers) {
  if (answers.size() != 1) {
    throw Error("a trace of " + std::to_string(answers.size()) + " answers", "cannot be made: it shows one timeline",
                "name one answer that has a timeline");
  }
  return answers.front();
}

}  // namespace

Format FormatOf(std::string_view path) {
  if (EndsWith(path, ".html") || EndsWith(path, ".htm")) return Format::kHtml;
  if (EndsWith(path, ".md")) return Format::kMarkdown;
  if (EndsWith(path, ".csv")) return Format::kCsv;
  if (EndsWith(path, ".speedscope.json")) return Format::kSpeedscope;
  if (EndsWith(path, ".trace.json")) return Format::kChromeTrace;
  throw Error("--out " + std::string(path), "ends in no form that a report has",
              "use .html, .md, .csv, .trace.json (for Perfetto) or .speedscope.json");
}

std::string RenderReport(const std::vector<Input>& inputs, Format format, const ReportOptions& options) {
  std::vector<Answer> answers;
  for (const Input& input : inputs) answers.push_back(ReadAnswer(input));
  ReportOptions with_title = options;
  if (with_title.title.empty()) with_title.title = TitleOf(answers);
  switch (format) {
    case Format::kHtml:
      return RenderHtml(answers, with_title);
    case Format::kMarkdown:
      return RenderMarkdown(answers, with_title);
    case Format::kCsv:
      return RenderCsv(answers);
    case Format::kChromeTrace:
      return RenderChromeTrace(OnlyOne(answers));
    case Format::kSpeedscope:
      return RenderSpeedscope(OnlyOne(answers));
  }
  return "";
}

std::string_view WhyNoPage() { return kPage.empty() ? kWhyNoPage : std::string_view(); }

}  // namespace isochrone::reports
