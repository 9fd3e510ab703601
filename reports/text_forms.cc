#include "reports/text_forms.h"

#include <algorithm>

#include "reports/tables.h"

namespace isochrone::reports {

namespace {

/// A name in a heading: one line, nothing that Markdown or HTML reads.
std::string Heading(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < ' ') out += ' ';
    else if (c == '<') out += "&lt;";
    else if (c == '&') out += "&amp;";
    else if (std::string_view("\\`*_[]").find(c) != std::string_view::npos) (out += '\\') += c;
    else out += c;
  }
  return out;
}

void AddSection(const Section& section, std::string& out) {
  out += "### " + section.question + "\n\n";
  const auto& rows = section.table.rows();
  if (rows.size() <= kMostMarkdownRows) {
    out += section.table.Markdown() + "\n";
    return;
  }
  Table first(section.table.columns());
  for (std::size_t i = 0; i < kMostMarkdownRows; ++i) first.AddRow(rows[i]);
  out += first.Markdown() + "\n";
  out += std::to_string(rows.size() - kMostMarkdownRows) + " more rows are left out; the CSV form has them.\n\n";
}

void AddCsv(std::string heading, const Section& section, std::string& out) {
  std::replace_if(
      heading.begin(), heading.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  out += "# " + heading + ": " + section.question + "\r\n" + section.table.Csv() + "\r\n";
}

}  // namespace

std::string RenderMarkdown(const std::vector<Answer>& answers, const ReportOptions& options) {
  std::string out = "# " + Heading(options.title) + "\n\n";
  if (answers.empty()) out += "Nothing was evaluated: no answer was given.\n";
  if (answers.size() > 1) AddSection(EvaluatedSection(answers, Reader::kPeople), out);
  for (const Answer& answer : answers) {
    out += "## " + Heading(answer.name) + " (" + answer.kind + ")\n\n";
    for (const Section& section : SectionsOf(answer, Reader::kPeople)) AddSection(section, out);
  }
  if (!options.command.empty()) out += "Made by " + Heading(options.command) + "\n";
  return out;
}

std::string RenderCsv(const std::vector<Answer>& answers) {
  std::string out;
  if (answers.size() != 1) AddCsv("all answers", EvaluatedSection(answers, Reader::kPrograms), out);
  for (const Answer& answer : answers) {
    for (const Section& section : SectionsOf(answer, Reader::kPrograms)) AddCsv(answer.name, section, out);
  }
  return out;
}

}  // namespace isochrone::reports
