#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/answering.h"
#include "cli/sweep_answer.h"
#include "cli/sweep_each.h"
#include "cli/verb.h"
#include "reports/result_table.h"
#include "study/search/confirm.h"
#include "study/search/hand_over.h"
#include "study/search/result_file.h"

namespace isochrone::cli {
namespace {

struct Asked {
  std::string sweep, out, sqlite, shard = "1/1";
  std::vector<std::string> merge;
  int jobs = 0, confirm = 3;
  Answering how;
  bool resume = false, exhaustive = false, each = false, break_even = false, network = false;
  std::size_t hand_over = 3;
};

std::atomic<bool> stopped{false};

void Stop(int) { stopped.store(true); }

struct Shard {
  int index = 1, count = 1;
};

Shard ShardOf(const std::string& text) {
  Shard shard;
  int used = 0;
  const bool read = std::sscanf(text.c_str(), "%d/%d%n", &shard.index, &shard.count, &used) == 2 &&
                    used == static_cast<int>(text.size());
  if (!read || shard.count < 1 || shard.count > 1'000'000 || shard.index < 1 || shard.index > shard.count)
    throw Error("--shard " + text, "is no part of a whole", "write for example --shard 1/4");
  return shard;
}

/// A line that moves on a terminal: share done, rate, what is left.
class Progress {
 public:
  explicit Progress(bool shown)
      : shown_(shown && TerminalOf(stderr).is_terminal), begin_(std::chrono::steady_clock::now()) {}
  ~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void Draw(std::int64_t done, std::int64_t units, std::int64_t priced) {
    const auto now = std::chrono::steady_clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    drawn_ = true;
    const double s = std::chrono::duration<double>(now - begin_).count(),
                 share = units > 0 ? static_cast<double>(done) / static_cast<double>(units) : 1;
    std::fprintf(stderr, "\r\033[K%s  %s configurations, %s/s, %s left", Percent(share, 0).c_str(),
                 Grouped(priced).c_str(), ThreeDigits(static_cast<double>(priced) / s).c_str(),
                 HumanTime(Seconds(share > 0 ? s / share - s : 0)).c_str());
  }

 private:
  bool shown_, drawn_ = false;
  std::chrono::steady_clock::time_point begin_, last_;
};

void PrintHandOver(const plan::Scenario& scenario, std::size_t which) {
  const study::HandOver flags = study::HandOverTo(which, scenario);
  std::printf("\nThe best for %s:\n%s", study::HandOverNames()[which].c_str(), flags.text.c_str());
  for (const std::string& missing : flags.missing) std::printf("cannot be said there: %s\n", missing.c_str());
}

study::SweepResult Joined(const study::SweepResult& earlier, study::SweepResult now, int most) {
  now.legal += earlier.legal;
  now.priced += earlier.priced;
  now.out_of_memory += earlier.out_of_memory;
  for (const study::Candidate& c : earlier.best) study::KeepBest(c, most, now.best);
  for (const study::Candidate& c : earlier.pareto) study::KeepPareto(c, now.pareto);
  return now;
}

/// --each and --break-even.
int RunEach(const study::Space& space, const Asked& asked, int jobs) {
  const std::string flag = asked.each ? "--each" : "--break-even",
                    command = "isochrone sweep " + asked.sweep + " " + flag;
  if (!asked.out.empty()) throw Error(flag, "writes no file of results", "leave out --out, or " + flag);
  const auto check = [&] {
    if (stopped) throw Error("isochrone sweep " + asked.sweep, "was interrupted", "ask again");
  };
  if (asked.each) {
    const std::vector<study::BestOfEach> all = study::SearchEach(space, jobs, stopped);
    check();
    Give(
        asked.how, asked.sweep, [&] { return EachJson(space, all, command); }, [&] { return EachText(space, all); });
  } else {
    const study::BreakEvens all = study::BreakEvensOf(space, asked.sweep, jobs, stopped);
    check();
    Give(
        asked.how, asked.sweep, [&] { return BreakEvenJson(space, all, command); },
        [&] { return BreakEvenText(space, all); });
  }
  return kAnswered;
}

int Run(const Asked& asked) {
  const study::Space space = study::ReadSpace(asked.sweep);
  if (!asked.merge.empty()) {
    if (asked.out.empty()) throw Error("--merge", "needs a file to join into", "add --out FILE");
    const std::int64_t rows = study::MergeResults(space, asked.merge, asked.out);
    std::printf("%s configurations of %zu shards joined into %s\n", Grouped(rows).c_str(), asked.merge.size(),
                asked.out.c_str());
    return kAnswered;
  }
  if (asked.resume && asked.out.empty()) throw Error("--resume", "needs the file to go on with", "add --out FILE");
  if (!asked.sqlite.empty() && (asked.out.empty() || asked.out.ends_with(".csv")))
    throw Error("--sqlite", "is made from a file of JSON Lines", "add --out FILE.jsonl");
  const Shard shard = ShardOf(asked.shard);
  const int jobs = asked.jobs > 0 ? asked.jobs : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::signal(SIGINT, Stop);
  std::signal(SIGTERM, Stop);
  if (asked.each || asked.break_even) return RunEach(space, asked, jobs);
  std::unique_ptr<study::ResultFile> file;
  if (!asked.out.empty())
    file = std::make_unique<study::ResultFile>(space, asked.out, shard.index, shard.count, asked.resume);

  study::SweepOptions options;
  options.jobs = jobs;
  options.prune = !asked.exhaustive && !file;
  options.shard = shard.index;
  options.shards = shard.count;
  options.stop = &stopped;
  Progress progress(!asked.how.json);
  options.progress = [&](std::int64_t done, std::int64_t units, std::int64_t priced) {
    progress.Draw(done, units, priced);
  };
  if (file) {
    options.first_unit = file->first_unit();
    options.each = [&](std::int64_t, const std::vector<study::Candidate>& rows) { file->Append(rows); };
  }
  SweepAnswer answer;
  answer.jobs = options.jobs;
  answer.pruned_search = options.prune;
  if (file && file->complete()) {
    answer.result = file->earlier();
  } else {
    answer.result = study::Sweep(space, options);
    if (file) answer.result = Joined(file->earlier(), std::move(answer.result), space.best);
  }
  if (!answer.result.complete) {
    throw Error("isochrone sweep " + asked.sweep,
                "was interrupted after " + Grouped(answer.result.priced) + " configurations",
                file ? "add --resume to go on" : "with --out FILE, --resume would go on");
  }
  if (file) file->Complete();
  if (!asked.sqlite.empty()) reports::WriteResultTable(asked.out, asked.sqlite);
  answer.best = study::Confirm(space, answer.result.best, asked.confirm, asked.network);
  Give(
      asked.how, asked.sweep, [&] { return SweepJson(space, answer, "isochrone sweep " + asked.sweep); },
      [&] { return SweepText(space, answer); });
  if (!asked.how.json && asked.hand_over < study::HandOverNames().size() && !answer.best.empty())
    PrintHandOver(study::ScenarioAt(space, answer.best.front().candidate.index), asked.hand_over);
  return kAnswered;
}

}  // namespace

Verb SweepVerb() {
  return {.name = "sweep",
          .summary = "which of many configurations is best",
          .example = "isochrone sweep scenarios/sweeps/mtnlg_530b_5040.json",
          .declare = [](Options& options) {
            auto asked = std::make_shared<Asked>();
            options.Positional(asked->sweep, "sweep", "a sweep file");
            options.Whole(asked->jobs, "--jobs", 1, 1024, "threads; all cores unless given");
            options.Whole(asked->confirm, "--confirm", 0, 1000, "how many of the best the event engine plays too (3)");
            options.Flag(asked->exhaustive, "--exhaustive", "price every legal configuration; gives the Pareto front");
            options.Flag(asked->network, "--network", "the network engine plays those as well");
            options.Flag(asked->each, "--each", "the best for each scenario, model, cluster and batch that is listed");
            options.Flag(asked->break_even, "--break-even", "the points between listed values where the best changes");
            options.Text(asked->sqlite, "--sqlite", "make an SQLite file of --out at the end: table results");
            options.Text(asked->out, "--out", "append every configuration to a file: JSON Lines, or CSV by its name");
            options.Flag(asked->resume, "--resume", "go on with --out after an interruption");
            options.Text(asked->shard, "--shard", "do only part I of N, written I/N");
            options.Texts(asked->merge, "--merge", "join complete shards into --out; once for each file");
            options.Choice(asked->hand_over, "--for", study::HandOverNames(), "print the best in a framework's words");
            DeclareAnswering(options, asked->how);
            return [asked] { return Run(*asked); };
          }};
}

}  // namespace isochrone::cli
