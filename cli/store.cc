#include "reports/store.h"

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/verb.h"
#include "reports/history.h"

namespace isochrone::cli {

namespace {

struct Asked {
  std::vector<std::string> words;  // the action, then what it is about
  std::string store = "isochrone.db", subject;
  std::vector<std::string> parents;
  double tolerance = 1e-6;
};

void Show(const Table& table) { std::fputs(table.Text().c_str(), stdout); }

int Save(reports::Store& store, const Asked& asked) {
  for (std::size_t i = 1; i < asked.words.size(); ++i) {
    const reports::Entry entry = store.Save(ReadInput(asked.words[i]), asked.parents);
    std::printf("%s  %s of %s\n", reports::Shortened(entry.hash).c_str(), entry.kind.c_str(), entry.subject.c_str());
  }
  return kAnswered;
}

int List(const reports::Store& store, const Asked& asked) {
  Table table({{"hash", "hash", "", Align::kLeft},
               {"kind", "kind", "", Align::kLeft},
               {"subject", "question", "", Align::kLeft},
               {"version", "version", "", Align::kLeft},
               {"commit", "commit", "", Align::kLeft},
               {"date", "date", "", Align::kLeft},
               {"made_from", "made from", "", Align::kLeft}});
  for (const reports::Entry& e : store.List("", asked.subject)) {
    std::string parents;
    for (const auto& parent : store.ParentsOf(e.hash)) {
      parents += (parents.empty() ? "" : ", ") + parent.kind + " " + reports::Shortened(parent.hash);
    }
    table.AddRow(
        {reports::Shortened(e.hash), e.kind, e.subject, e.version, reports::Shortened(e.commit), e.date, parents});
  }
  Show(table);
  const reports::Store::Usage usage = store.Size();
  std::printf("\n%s objects in %s; %s without differences\n", Grouped(usage.objects).c_str(),
              HumanBytes(Bytes(static_cast<double>(usage.stored_bytes))).c_str(),
              HumanBytes(Bytes(static_cast<double>(usage.full_bytes))).c_str());
  return kAnswered;
}

int Difference(const reports::Store& store, const Asked& asked) {
  const auto changes =
      reports::Differences(store.Read(asked.words.at(1)), store.Read(asked.words.at(2)), asked.tolerance);
  Table table({{"path", "value", "", Align::kLeft}, {"before", "before"}, {"after", "after"}, {"relative", "change"}});
  for (const reports::Change& c : changes) {
    table.AddRow({c.path, c.before, c.after, c.relative == 0 ? Cell() : Cell(Percent(c.relative))});
  }
  if (!changes.empty()) Show(table);
  return changes.empty() ? kAnswered : kDiffers;
}

int Moved(const reports::Store& store, const Asked& asked) {
  const auto movements = reports::Movements(store, asked.tolerance, asked.subject);
  if (movements.empty()) {
    std::printf("no version changed an answer\n");
    return kAnswered;
  }
  Show(reports::MovementTable(movements));
  bool worse = false;
  for (const reports::Movement& m : movements) worse = worse || !m.regression.empty();
  return worse ? kDiffers : kAnswered;
}

int Run(const Asked& asked) {
  struct Action {
    std::string name;
    std::size_t least, most;  // words after it
    const char* takes;
  };
  static const std::vector<Action> actions = {{"save", 1, 1000, "FILE…"},
                                              {"list", 0, 0, ""},
                                              {"show", 1, 1, "HASH"},
                                              {"diff", 2, 2, "HASH HASH"},
                                              {"moved", 0, 0, ""}};
  std::vector<std::string> names;
  for (const Action& action : actions) names.push_back(action.name);
  const std::string& word = asked.words.front();
  const std::size_t rest = asked.words.size() - 1;
  for (const Action& action : actions) {
    if (action.name != word) continue;
    if (rest < action.least || rest > action.most) {
      throw Error("isochrone store " + word, "takes " + (action.most == 0 ? "nothing more" : std::string(action.takes)),
                  "isochrone store --help shows an example");
    }
    reports::Store store(asked.store);
    if (word == "save") return Save(store, asked);
    if (word == "list") return List(store, asked);
    if (word == "diff") return Difference(store, asked);
    if (word == "moved") return Moved(store, asked);
    std::printf("%s\n", store.Read(asked.words[1]).c_str());
    return kAnswered;
  }
  const std::string nearest = Nearest(word, names);
  throw Error("isochrone store " + word, "is no action of the store",
              nearest.empty() ? "known: " + JoinedWith(names, "and") : "did you mean \"" + nearest + "\"?");
}

}  // namespace

Verb StoreVerb() {
  return {.name = "store",
          .summary = "answers of many versions: save, list, show, diff, and what moved",
          .example = "isochrone store save scenarios/examples/gpt3_on_64_a100.json --store answers.db",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positionals(asked->words, "action",
                                "save FILE… (answers, or scenarios to predict), list, show HASH, diff HASH HASH, or "
                                "moved: which version changed which values, and whether that is worse");
            options.Text(asked->store, "--store", "the SQLite file (isochrone.db)");
            options.Texts(asked->parents, "--parent", "with save: hash of an answer that this one was made from");
            options.Text(asked->subject, "--subject", "with list and moved: only answers to this question");
            options.Number(asked->tolerance, "--tolerance", 0, 1, "numbers that differ by less, relatively, are equal");
            return [asked] { return Run(*asked); };
          }};
}

}  // namespace isochrone::cli
