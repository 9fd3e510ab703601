#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "base/error.h"
#include "plan/memory.h"
#include "plan/schedule.h"
#include "study/search/result_file.h"
#include "study/search/sweep.h"
#include "tests/folder.h"

namespace isochrone::study {
namespace {

std::string TextOf(const std::string& file) {
  std::ostringstream out;
  out << std::ifstream(file).rdbuf();
  return out.str();
}

std::string SweepText(const std::string& strategy, int nodes, int sequences, const std::string& wanted = "") {
  return R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": )" +
         std::to_string(nodes) + R"(}, "batch": {"sequences": )" + std::to_string(sequences) +
         R"(, "microbatch": "search"}, "strategy": )" + strategy + wanted + "}";
}

constexpr const char* kWide =
    R"({"tensor": "search", "pipeline": "search", "schedule": "search", "chunks_per_rank": [1, 2, 3], "recompute": "search",
        "sequence_parallel": "search", "optimizer_sharding": "search", "overlap_data": "search",
        "zero2_reduce_every_microbatch": "search", "shard_group": [0, 2], "overlap_pipeline": "search",
        "account_embedding_in_split": "search"})";

SweepResult ResultOf(const Space& space, bool prune, int jobs = 1) {
  SweepOptions options;
  options.prune = prune;
  options.jobs = jobs;
  return Sweep(space, options);
}

}  // namespace

TEST_CASE("what a sweep remembers gives the numbers of a scenario built from nothing, bit for bit", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(folder.Write("s.json", SweepText(kWide, 2, 64)));
  std::mt19937 random(3);
  std::vector<Candidate> some;
  SweepOptions options;
  options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
    for (const Candidate& c : rows) {
      if (random() % 40 == 0) some.push_back(c);
    }
  };
  const SweepResult result = Sweep(space, options);
  REQUIRE(result.legal > 5'000);
  REQUIRE(some.size() > 50);
  for (const Candidate& c : some) {
    const plan::Scenario s = ScenarioAt(space, c.index);
    plan::Check(s);
    const Estimate e = EstimateOf(s).estimate;
    CHECK(e.step_time == c.estimate.step_time);
    CHECK(e.memory == c.estimate.memory);
  }
}

TEST_CASE("a combination that a sweep passes over is illegal or repeats another", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(folder.Write(
      "s.json",
      SweepText(
          R"({"tensor": "search", "pipeline": [1, 2, 4], "schedule": ["1f1b", "interleaved_1f1b"], "chunks_per_rank": [1, 2],
          "sequence_parallel": "search"})",
          1, 12)));
  std::set<std::int64_t> priced;
  SweepOptions options;
  options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
    for (const Candidate& c : rows) priced.insert(c.index);
  };
  Sweep(space, options);
  for (std::int64_t i = 0; i < SizeOf(space.axes[0]); ++i) {
    if (priced.count(i)) continue;
    plan::Scenario s = space.bases[0];
    std::int64_t rest = i;
    for (std::size_t a = space.axes[0].size(); a-- > 0;) {
      const auto n = static_cast<std::int64_t>(space.axes[0][a].values.size());
      space.axes[0][a].set(static_cast<std::size_t>(rest % n), s);
      rest /= n;
    }
    const bool divides = Complete(space, s);
    const bool repeats = s.strategy.tensor == 1 && s.strategy.sequence_parallel;
    const auto refused = [&] {
      try {
        plan::Check(s);
        plan::BuildSchedule(ScheduleShapeOf(s));
        return false;
      } catch (const Error&) {
        return true;
      }
    };
    const bool more_chunks = s.strategy.pipeline == 1 && s.strategy.schedule != plan::ScheduleKind::k1f1b;
    INFO(i);
    CHECK((!divides || repeats || more_chunks || refused()));
  }
}

TEST_CASE("every combination that a sweep prices is one that a scenario may ask for", "[search]") {
  const tests::Folder folder;
  const Space space =
      ReadSpace(folder.Write("s.json", SweepText(R"({"pipeline": [1, 2, 4], "schedule": ["1f1b", "zb_v", "dualpipe"],
          "chunks_per_rank": [1, 2, 3], "optimizer": ["adam", "galore_adam"], "galore_rank": [64],
          "optimizer_sharding": ["zero1", "none"], "offload_gradients": ["none", "host"]})",
                                                 1, 16)));
  SweepOptions options;
  int projected = 0;
  options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
    for (const Candidate& c : rows) {
      const plan::Scenario s = ScenarioAt(space, c.index);
      INFO(c.index);
      CHECK_NOTHROW(plan::Check(s));
      projected += s.strategy.optimizer == plan::OptimizerKind::kGaloreAdam;
    }
  };
  Sweep(space, options);
  CHECK(projected > 0);
}

TEST_CASE("a pruned search returns the best of the whole space", "[search]") {
  const tests::Folder folder;
  std::mt19937 random(5);
  const std::string some[] = {R"(["1f1b"])", R"(["1f1b", "interleaved_1f1b"])", R"(["gpipe", "zb_h1", "zb_v"])",
                              R"(["dualpipe", "v_half", "1f1b"])"};
  for (int i = 0; i < 12; ++i) {
    const std::string strategy =
        R"({"tensor": "search", "pipeline": "search", "chunks_per_rank": [1, 2], "schedule": )" + some[random() % 4] +
        R"(, "recompute": ["none", "full"], "optimizer_sharding": ["none", "zero1"]})";
    const int best = 1 + static_cast<int>(random() % 5);
    const Space space =
        ReadSpace(folder.Write("s.json", SweepText(strategy, 1 << random() % 3, 8 << random() % 5,
                                                   R"(, "sweep": {"best": )" + std::to_string(best) + "}")));
    const SweepResult whole = ResultOf(space, false), pruned = ResultOf(space, true),
                      threads = ResultOf(space, true, 2);
    CHECK(whole.legal == pruned.legal);
    CHECK(pruned.priced + pruned.pruned == pruned.legal);
    REQUIRE(whole.best.size() == pruned.best.size());
    REQUIRE(whole.best.size() == threads.best.size());
    for (std::size_t k = 0; k < whole.best.size(); ++k) {
      CHECK(whole.best[k].index == pruned.best[k].index);
      CHECK(whole.best[k].index == threads.best[k].index);
    }
  }
}

TEST_CASE("no configuration is better than one of the Pareto front in everything", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(folder.Write(
      "s.json",
      SweepText(
          R"({"tensor": "search", "pipeline": "search", "recompute": "search", "optimizer_sharding": ["none", "zero1"]})",
          1, 32)));
  std::vector<Candidate> all;
  SweepOptions options;
  options.each = [&](std::int64_t, const std::vector<Candidate>& rows) {
    all.insert(all.end(), rows.begin(), rows.end());
  };
  const SweepResult result = Sweep(space, options);
  REQUIRE(!result.pareto.empty());
  for (const Candidate& p : result.pareto) {
    for (const Candidate& c : all) CHECK_FALSE((c.fits && c.score < p.score && c.estimate.memory < p.estimate.memory));
  }
}

TEST_CASE("a result file that was cut anywhere is the same after it went on", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(folder.Write(
      "s.json", SweepText(R"({"tensor": "search", "pipeline": [1, 2, 4], "recompute": "search"})", 1, 32)));
  const auto go_on = [&](const std::string& path, bool resume) {
    ResultFile file(space, path, 1, 1, resume);
    SweepOptions options;
    options.first_unit = file.first_unit();
    options.each = [&](std::int64_t, const std::vector<Candidate>& rows) { file.Append(rows); };
    if (!file.complete()) Sweep(space, options);
    file.Complete();
  };
  for (const char* name : {"whole.jsonl", "whole.csv"}) {
    const std::string whole = folder / name;
    go_on(whole, false);
    const std::string text = TextOf(whole);
    REQUIRE(text.size() > 2'000);
    std::mt19937 random(9);
    for (int i = 0; i < 20; ++i) {
      const std::string cut = folder / (std::string("cut_") + name);
      std::ofstream(cut, std::ios::binary) << text.substr(0, random() % text.size());
      go_on(cut, true);
      CHECK(TextOf(cut) == text);
    }
  }
}

TEST_CASE("shards join into the file of the whole, and a missing one is named", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(
      folder.Write("s.json", SweepText(R"({"tensor": "search", "pipeline": [1, 2], "recompute": "search"})", 1, 16)));
  const auto run = [&](const std::string& path, int shard, int shards) {
    ResultFile file(space, path, shard, shards, false);
    SweepOptions options;
    options.shard = shard;
    options.shards = shards;
    options.each = [&](std::int64_t, const std::vector<Candidate>& rows) { file.Append(rows); };
    Sweep(space, options);
    file.Complete();
    return path;
  };
  const std::string whole = run(folder / "whole.jsonl", 1, 1);
  const std::string a = run(folder / "a.jsonl", 1, 2), b = run(folder / "b.jsonl", 2, 2);
  MergeResults(space, {b, a}, folder / "joined.jsonl");
  CHECK(TextOf(folder / "joined.jsonl") == TextOf(whole));
  CHECK_THROWS_WITH(MergeResults(space, {a}, folder / "x.jsonl"), Catch::Contains("no shard of 1"));
  CHECK_THROWS_WITH(MergeResults(space, {a, a}, folder / "y.jsonl"), Catch::Contains("another file is too"));
}

TEST_CASE("a damaged line, another sweep's file and a full disk are errors that leave results alone", "[search]") {
  const tests::Folder folder;
  const Space space = ReadSpace(folder.Write("s.json", SweepText(R"({"tensor": [1, 2]})", 1, 16)));
  const std::string path = folder / "r.jsonl";
  { ResultFile file(space, path, 1, 1, false); }
  CHECK_THROWS_WITH(ResultFile(space, path, 1, 1, false), Catch::Contains("exists already"));
  CHECK_THROWS_WITH(ResultFile(space, path, 2, 3, true), Catch::Contains("another sweep"));
  std::ofstream(path, std::ios::app) << "{\"index\":x}\n";
  const std::string before = TextOf(path);
  CHECK_THROWS_WITH(ResultFile(space, path, 1, 1, true), Catch::Contains("line 2") && Catch::Contains("is damaged"));
  CHECK(TextOf(path) == before);
  CHECK_THROWS_WITH(ResultFile(space, "/dev/full", 1, 1, true), Catch::Contains("is not a file"));
  CHECK_THROWS_WITH(ResultFile(space, folder / "absent/r.jsonl", 1, 1, false), Catch::Contains("cannot be written"));

  // A disk that takes no more than this.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{4096, limit.rlim_max};
  const std::string full = folder / "full.jsonl";
  {
    ResultFile file(space, full, 1, 1, false);
    setrlimit(RLIMIT_FSIZE, &small);
    Candidate c;
    c.index = 0;
    c.gpus = 8;
    c.estimate.step_time = 1;
    CHECK_THROWS_WITH(file.Append(std::vector<Candidate>(100, c)), Catch::Contains("cannot be written to its end"));
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  CHECK(TextOf(full).size() == 4096);
}

}  // namespace isochrone::study
