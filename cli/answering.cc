#include "cli/answering.h"

#include <cstdio>

#include "base/error.h"
#include "reports/store.h"

namespace isochrone::cli {

void DeclareAnswering(Options& options, Answering& how) {
  options.Flag(how.json, "--json", "print the answer as JSON");
  options.Text(how.store, "--store", "also save the answer in this SQLite file: isochrone store lists and compares");
  options.Texts(how.parents, "--parent", "with --store: hash of a saved answer that this one was made from");
}

void Save(const Answering& how, const std::string& name, const Form& json) {
  if (how.store.empty()) {
    if (how.parents.empty()) return;
    throw Error("--parent " + how.parents.front(), "needs a store to be in", "add --store FILE");
  }
  const reports::Entry entry = reports::Store(how.store).Save({name, json()}, how.parents);
  std::fprintf(stderr, "saved in %s as %s\n", how.store.c_str(), reports::Shortened(entry.hash).c_str());
}

void Give(const Answering& how, const std::string& name, const Form& json, const Form& text) {
  Save(how, name, json);
  std::fputs((how.json ? json() : text()).c_str(), stdout);
}

}  // namespace isochrone::cli
