#include "cli/options.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

#include "cli/verb.h"
#include "cli/version.h"

namespace isochrone::cli {

void Options::Positional(std::string& into, const std::string& name, const std::string& help, bool required) {
  app_.add_option(name, into, help)->required(required);
}

void Options::Positionals(std::vector<std::string>& into, const std::string& name, const std::string& help,
                          bool required) {
  app_.add_option(name, into, help)->required(required);
}

void Options::Text(std::string& into, const std::string& flag, const std::string& help) {
  app_.add_option(flag, into, help);
}

void Options::Texts(std::vector<std::string>& into, const std::string& flag, const std::string& help) {
  app_.add_option(flag, into, help)->expected(1)->take_all();
}

void Options::Choice(std::size_t& into, const std::string& flag, const std::vector<std::string>& names,
                     const std::string& help) {
  const auto read = [&into, flag, names](const std::string& word) {
    const auto it = std::find(names.begin(), names.end(), word);
    if (it == names.end()) {
      const std::string nearest = Nearest(word, names);
      throw Error(
          flag + " " + word, "is not known",
          (nearest.empty() ? "" : "did you mean \"" + nearest + "\"? ") + ("known: " + JoinedWith(names, "and")));
    }
    into = static_cast<std::size_t>(it - names.begin());
  };
  app_.add_option_function<std::string>(flag, read, help + " (" + JoinedWith(names, "or") + ")");
}

void Options::Flag(bool& into, const std::string& flag, const std::string& help) { app_.add_flag(flag, into, help); }

void Options::Whole(int& into, const std::string& flag, int least, int most, const std::string& help) {
  app_.add_option(flag, into, help)->check(CLI::Range(least, most));
}

void Options::Number(double& into, const std::string& flag, double least, double most, const std::string& help) {
  app_.add_option(flag, into, help)->check(CLI::Range(least, most));
}

namespace {

/// The command line's own faults in the form of all others.
Error AsError(const CLI::ParseError& e, const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> names;
  for (const Verb& verb : Verbs()) names.push_back(verb.name);
  std::string line = "isochrone";
  for (int i = 1; i < argc; ++i) line += std::string(" ") + argv[i];
  const bool known = argc > 1 && std::find(names.begin(), names.end(), argv[1]) != names.end();
  if (!known) {
    const std::string nearest = argc > 1 ? Nearest(argv[1], names) : "";
    return Error(line, argc > 1 ? std::string("\"") + argv[1] + "\" is not a verb" : "needs a verb",
                 nearest.empty() ? "known: " + JoinedWith(names, "and") : "did you mean \"" + nearest + "\"?");
  }
  (void)app;
  return Error(line, e.what(), std::string("isochrone ") + argv[1] + " --help shows what it takes");
}

}  // namespace

int Main(int argc, const char* const* argv) {
  CLI::App app(
      "Isochrone: predicted time equals measured time.\nPlans training and serving of large neural networks on many "
      "GPUs.",
      "isochrone");
  app.require_subcommand(1);
  app.set_version_flag("--version", Version());
  std::function<int()> chosen;
  for (const Verb& verb : Verbs()) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.summary);
    sub->footer(std::string("Example:\n  ") + verb.example);
    Options options(*sub);
    auto run = verb.declare(options);
    sub->final_callback([&chosen, run] { chosen = run; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    throw AsError(e, app, argc, argv);
  }
  return chosen();
}

}  // namespace isochrone::cli
