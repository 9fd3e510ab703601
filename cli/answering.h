#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/options.h"

namespace isochrone::cli {

/// How a verb is to give its answer: these options mean the same everywhere.
struct Answering {
  bool json = false;                 // --json
  std::string store;                 // --store: the SQLite file that keeps it; "": none
  std::vector<std::string> parents;  // --parent: hashes of answers in the store that this one was made from
};

void DeclareAnswering(Options& options, Answering& how);

/// Makes a form of an answer, called only where it is needed.
using Form = std::function<std::string()>;

/// Saves the answer where --store asks and says on standard error under which hash. `name` is what was asked: the
/// scenario, the sweep, the rows.
void Save(const Answering& how, const std::string& name, const Form& json);

/// Saves the answer and prints it, as JSON or as text.
void Give(const Answering& how, const std::string& name, const Form& json, const Form& text);

}  // namespace isochrone::cli
