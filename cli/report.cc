#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/inputs.h"
#include "cli/verb.h"
#include "reports/store.h"

namespace isochrone::cli {

namespace {

struct Asked {
  std::vector<std::string> inputs;
  std::string out, title, store;
};

/// A file, or with --store what the store has under that hash.
reports::Input InputOf(const std::string& word, const Asked& asked) {
  if (asked.store.empty() || std::filesystem::exists(word)) return ReadInput(word);
  return {word, reports::Store(asked.store).Read(word)};
}

int Report(const Asked& asked) {
  const reports::Format format = asked.out.empty() ? reports::Format::kMarkdown : reports::FormatOf(asked.out);
  std::vector<reports::Input> inputs;
  std::string command = "isochrone report";
  for (const std::string& path : asked.inputs) {
    inputs.push_back(InputOf(path, asked));
    command += " " + path;
  }
  if (!asked.store.empty()) command += " --store " + asked.store;
  if (!asked.out.empty()) command += " --out " + asked.out;
  const std::string text = reports::RenderReport(inputs, format, {asked.title, command});
  if (asked.out.empty()) std::fputs(text.c_str(), stdout);
  else WriteFile(asked.out, text);
  return kAnswered;
}

}  // namespace

Verb ReportVerb() {
  return {.name = "report",
          .summary = "answers as one page, Markdown, CSV or a trace",
          .example = "isochrone report scenarios/examples/gpt3_on_64_a100.json --out report.html",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positionals(asked->inputs, "inputs",
                                "files that verbs printed with --json, scenarios to predict, or hashes of a store");
            options.Text(asked->out, "--out",
                         "file to write: .html, .md, .csv, .trace.json (Perfetto) or .speedscope.json; Markdown on "
                         "standard output where absent");
            options.Text(asked->store, "--store", "the SQLite file that has the answers named by their hash");
            options.Text(asked->title, "--title", "heading; the first answer's question where absent");
            return [asked] { return Report(*asked); };
          }};
}

}  // namespace isochrone::cli
